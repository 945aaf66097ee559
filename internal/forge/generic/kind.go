// Package generic is any other server: it has no API that we know, and its deliveries are made by a script.
package generic

import (
	"context"
	"fmt"
	"net/http"

	"github.com/towpath-cd/towpath/internal/forge"
)

// Kind answers the kind.
func Kind() forge.Kind {
	return forge.Kind{Name: "generic", Hooks: hooks{}, Recognizes: recognizes, Manual: manual}
}

// recognizes nothing: it is what is left where no other kind does.
func recognizes(context.Context, *http.Client, string) (bool, error) { return false, nil }

func manual(_ forge.Where, hookURL, secret string) string {
	return fmt.Sprintf(`A delivery, made by a script of yours with curl and openssl, such as the post-receive hook of a bare repository:

  body='{"ref":"refs/heads/main","before":"HASH","after":"HASH"}'
  signature=$(printf %%s "$body" | openssl dgst -sha256 -hmac "$SECRET" -r | cut -d' ' -f1)
  curl --fail-with-body -X POST '%[1]s' \
    -H 'Content-Type: application/json' -H "Towpath-Signature: sha256=$signature" \
    -H "Towpath-Delivery: $(cat /proc/sys/kernel/random/uuid)" --data-binary "$body"

The secret: %[2]s
A hash of zeros, or none, says for "after" that the branch was deleted, for "before" that it is new.
`, hookURL, secret)
}
