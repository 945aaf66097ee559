package web

import (
	"net/http"
	"strconv"

	"github.com/towpath-cd/towpath"
	"github.com/towpath-cd/towpath/client"
	"github.com/towpath-cd/towpath/internal/access"
	"github.com/towpath-cd/towpath/internal/forge"
	"github.com/towpath-cd/towpath/internal/store"
)

func (s *Server) deliveries(c call[none]) ([]client.Delivery, error) {
	wanted := store.DeliveryFilter{Project: c.Project.ID, Limit: listed}
	if err := numberIn(c.Request, "limit", listedMost, &wanted.Limit); err != nil {
		return nil, err
	}
	if err := numberIn(c.Request, "before", 1<<53, &wanted.Before); err != nil {
		return nil, err
	}
	found := []client.Delivery{}
	err := s.Store.View(c.Context(), func(tx *store.Tx) error {
		stored, err := tx.Deliveries(wanted)
		for _, d := range stored {
			found = append(found, deliveryOf(d))
		}
		return err
	})
	return found, err
}

func deliveryOf(d towpath.Delivery) client.Delivery {
	return client.Delivery{
		ID: d.ID, Key: d.Key, Event: d.Event, Size: d.Size, Outcome: string(d.Outcome), Reason: d.Reason, Replays: d.Replays,
		ArrivedAt: d.ArrivedAt, SettledAt: d.SettledAt,
	}
}

// delivery answers one with what was sent.
func (s *Server) delivery(c call[none]) (answer client.Delivery, err error) {
	id, err := deliveryIn(c)
	if err != nil {
		return answer, err
	}
	var stored store.StoredDelivery
	err = s.Store.View(c.Context(), func(tx *store.Tx) error {
		stored, err = tx.Delivery(c.Project.ID, id)
		return err
	})
	if err != nil {
		return answer, err
	}
	answer = deliveryOf(stored.Delivery)
	if stored.Outcome == towpath.DeliveryRefused {
		return answer, nil // nothing of it was kept
	}
	body, err := s.Inbox.Body(stored)
	answer.Body = string(body)
	return answer, err
}

func deliveryIn(c call[none]) (int, error) {
	id, err := strconv.Atoi(c.PathValue("id"))
	if err != nil || id < 1 {
		return 0, towpath.Errorf(towpath.CodeInvalid, "%q is not the number of a delivery", c.PathValue("id"))
	}
	return id, nil
}

// replayDelivery has a delivery read again.
func (s *Server) replayDelivery(c call[none]) (answer client.Delivery, err error) {
	id, err := deliveryIn(c)
	if err != nil {
		return answer, err
	}
	err = s.audited(c.Request, c.Caller, "delivery.replay", c.Project.Name, strconv.Itoa(id), func(tx *store.Tx) error {
		stored, err := tx.Delivery(c.Project.ID, id)
		if err != nil {
			return err
		}
		if stored.Outcome == towpath.DeliveryRefused {
			return towpath.Errorf(towpath.CodeConflict, "delivery %d was refused, and nothing of it was kept", id).
				WithHint("have the forge deliver it again, once its secret is right")
		}
		if stored.Outcome != towpath.DeliveryPending { // else it is read in any case
			if err := tx.ReplayDelivery(c.Project.ID, id); err != nil {
				return err
			}
		}
		stored, err = tx.Delivery(c.Project.ID, id)
		answer = deliveryOf(stored.Delivery)
		return err
	})
	if err == nil {
		s.Flow.DeliveriesArrived()
	}
	return answer, err
}

// rotateHookSecret gives the project's webhook another secret. One that is made here is answered this once.
func (s *Server) rotateHookSecret(c call[client.WebhookSecret]) (client.Webhook, error) {
	given := c.Body.Secret
	if given != "" {
		if err := access.CheckHookSecret(given); err != nil {
			return client.Webhook{}, err
		}
	}
	made, err := s.newHookSecret(c.Request, c.Caller, c.Project, given)
	if given != "" {
		made.Secret = ""
	} else if err == nil {
		made.Manual = s.pasted(c.Project, made)
	}
	return made, err
}

// newHookSecret rotates to a secret that was made elsewhere, or to a new one where that is empty.
func (s *Server) newHookSecret(r *http.Request, by access.Caller, p towpath.Project, given string) (made client.Webhook, err error) {
	made.URL = s.hookURL(p)
	err = s.audited(r, by, "webhook.rotate", p.Name, "", func(tx *store.Tx) error {
		made.Secret, err = s.Secrets.RotateHookSecret(tx, p.ID, given, s.Clock())
		return err
	})
	return made, err
}

// pasted says for people what to paste where.
func (s *Server) pasted(p towpath.Project, w client.Webhook) string {
	return s.Forges[p.Forge.Kind].Manual(forge.Where{Server: p.Forge.URL, Path: p.Forge.Repository}, w.URL, w.Secret)
}

func (s *Server) dropHookSecret(c call[none]) (none, error) {
	return none{}, s.audited(c.Request, c.Caller, "webhook.drop", c.Project.Name, "", func(tx *store.Tx) error {
		return s.Secrets.RemoveCredential(tx, c.Project.ID, access.HookSecretBefore)
	})
}

// hookURL is where a project's forge delivers to. It stays the same where the project is renamed.
func (s *Server) hookURL(p towpath.Project) string { return s.URL + "/hooks/" + p.ID }
