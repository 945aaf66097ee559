package client

import (
	"context"
	"fmt"
	"io"
	"net/http"
)

// Backup writes a backup of all that the server keeps, and answers its size in bytes. After an error, what was written is
// no backup.
func (c *Client) Backup(ctx context.Context, w io.Writer) (int64, error) {
	response, err := c.send(ctx, http.MethodPost, "/api/v1/backup", "application/json", nil)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	n, err := io.Copy(w, response.Body)
	if err != nil {
		return n, fmt.Errorf("read the backup: %w", err)
	}
	return n, nil
}
