package trigger

import "sync"

const (
	// revisionsKept is how many revisions are remembered.
	revisionsKept = 64
	// revisionMost is how many bytes one may have to be remembered.
	revisionMost = 256 << 10
)

// revisions remembers what was read of the last ones. It is safe for concurrent use.
type revisions struct {
	mu    sync.Mutex
	known map[string]revision
	order []string // the oldest first
}

func (r *revisions) get(key string) (revision, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	found, ok := r.known[key]
	return found, ok
}

func (r *revisions) keep(key string, read revision) {
	if read.size() > revisionMost {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, known := r.known[key]; known {
		return
	}
	if r.known == nil {
		r.known = map[string]revision{}
	}
	if len(r.order) == revisionsKept {
		delete(r.known, r.order[0])
		r.order = r.order[1:]
	}
	r.known[key], r.order = read, append(r.order, key)
}

func (r revision) size() int {
	sum := len(r.message)
	for _, name := range r.files {
		sum += len(name)
	}
	for name, content := range r.pipelines {
		sum += len(name) + len(content)
	}
	return sum
}
