package flow

import (
	"sync"
	"sync/atomic"
	"time"
)

// Hub wakes whoever waits for something to change: long-polls of workers and keepers, and event streams of people. A
// wake-up is a hint: it may be lost with the process, so every waiter looks again after a while by itself.
type Hub struct {
	mu      sync.Mutex
	waiting map[string]chan struct{}
}

// NewHub makes a hub that nobody waits on.
func NewHub() *Hub { return &Hub{waiting: map[string]chan struct{}{}} }

// Wait answers a channel that is closed at the next ring of the topic. Take it before looking at what it is about, or
// a change between the two is missed.
func (h *Hub) Wait(topic string) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.waiting[topic] == nil {
		h.waiting[topic] = make(chan struct{})
	}
	return h.waiting[topic]
}

// Ring wakes all that wait for the topics.
func (h *Hub) Ring(topics ...string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, topic := range topics {
		if waiting := h.waiting[topic]; waiting != nil {
			close(waiting)
			delete(h.waiting, topic)
		}
	}
}

// The topics. Every change of a run or an environment rings its own and the one of all.
const (
	TopicQueue        = "queue"        // an attempt is ready that was leased to nobody yet
	TopicKeepers      = "keepers"      // an environment has something new to do
	TopicRuns         = "runs"         // any run changed
	TopicEnvironments = "environments" // any environment changed
)

// TopicRun is rung when the run changes.
func TopicRun(id string) string { return "run/" + id }

// TopicEnvironment is rung when the environment changes.
func TopicEnvironment(key string) string { return "environment/" + key }

// TopicLog is rung when the log of an attempt grows.
func TopicLog(run, step string) string { return "log/" + run + "/" + step }

// notes are short texts by name that need not survive the process.
type notes struct {
	mu    sync.Mutex
	texts map[string]string
}

func (n *notes) set(name, text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.texts == nil {
		n.texts = map[string]string{}
	}
	n.texts[name] = text
}

func (n *notes) get(name string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.texts[name]
}

// instant is a time that one goroutine sets and others read.
type instant struct{ at atomic.Pointer[time.Time] }

func (i *instant) set(t time.Time) { i.at.Store(&t) }

func (i *instant) get() time.Time {
	if t := i.at.Load(); t != nil {
		return *t
	}
	return time.Time{}
}
