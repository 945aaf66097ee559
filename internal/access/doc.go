// Package access says who may do what. Everything is denied until a role allows it: [Routes] names every route and what
// it needs, [Guard.Admit] finds out who asks and answers whether they may, and [Record] keeps what was done in a chain
// of hashes.
package access
