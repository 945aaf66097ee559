// Package store keeps the state of the server in SQLite. Everything that changes goes through one writer
// ([Store.Update]), which puts the changes of all who wait into one commit; readers ([Store.View]) never wait for it.
//
// The nouns of package towpath are stored whole, as JSON documents, beside the columns that are searched. Those that
// change have a version, which the caller hands back when it saves: a save on an older version is ErrConflict.
//
// SQL stands here and nowhere else: by hand, short, and kept to what SQLite and PostgreSQL both understand. Times are
// microseconds since 1970 in UTC, 0 is no time.
package store
