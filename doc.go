// Package towpath holds the nouns of a continuous-delivery server.
package towpath
