package web

import (
	"strconv"

	"github.com/towpath-cd/towpath/client"
)

// rotateKey makes a new key, and seals all that is secret with it. It is recorded before it begins.
func (s *Server) rotateKey(c call[client.KeyRotation]) (client.KeyRotation, error) {
	if err := s.audited(c.Request, c.Caller, "secret-key.rotate", "", "forget older ones: "+strconv.FormatBool(c.Body.Forget), nothing); err != nil {
		return c.Body, err
	}
	done, err := s.RotateKey(c.Context(), c.Body.Forget)
	return client.KeyRotation{Forget: c.Body.Forget, Resealed: done.Resealed, Forgotten: done.Forgotten}, err
}
