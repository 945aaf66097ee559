package store

import (
	"fmt"
	"time"

	"github.com/towpath-cd/towpath"
)

// KeepArtifact notes that a step of a run kept an artifact; the latest attempt's stays.
func (tx *Tx) KeepArtifact(run string, a towpath.Artifact, at time.Time) error {
	doc, err := encode(a)
	if err != nil {
		return err
	}
	_, err = tx.exec(`
		INSERT INTO artifacts (run, step, path, digest, size, kept_at, doc) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (run, step, path) DO UPDATE SET digest = excluded.digest, size = excluded.size,
			kept_at = excluded.kept_at, doc = excluded.doc`, run, a.Step, a.Path, a.Digest, a.Size, micros(at), doc)
	return err
}

// Artifacts answers what a run's steps kept and retention has not taken.
func (tx *Tx) Artifacts(run string) ([]towpath.Artifact, error) {
	return all(tx, document[towpath.Artifact], "SELECT doc FROM artifacts WHERE run = ? ORDER BY step, path", run)
}

// ArtifactProjects answers the IDs of the projects that have a run which kept these bytes.
func (tx *Tx) ArtifactProjects(digest string) ([]string, error) {
	return all(tx, text, `
		SELECT DISTINCT runs.project FROM artifacts JOIN runs ON runs.id = artifacts.run
		WHERE artifacts.digest = ? ORDER BY runs.project`, digest)
}

// KeptDigests answers the digest of every artifact that some run still has: what else is in the artifact store may go, but
// for what is cached (CachedDigests).
func (tx *Tx) KeptDigests() ([]string, error) {
	return all(tx, text, "SELECT DISTINCT digest FROM artifacts ORDER BY digest")
}

// Log is what is known of the log of one attempt; its text is elsewhere.
type Log struct {
	Run        string // run's ID
	Step       string
	Attempt    int
	Lines      int
	Size       int64 // bytes of text
	FinishedAt time.Time
}

// SaveLog keeps what is known of a log.
func (tx *Tx) SaveLog(l Log) error {
	_, err := tx.exec(`
		INSERT INTO logs (run, step, attempt, lines, size, finished) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (run, step, attempt) DO UPDATE SET lines = excluded.lines, size = excluded.size,
			finished = excluded.finished`, l.Run, l.Step, l.Attempt, l.Lines, l.Size, micros(l.FinishedAt))
	return err
}

// Log answers what is known of the log of an attempt.
func (tx *Tx) Log(run, step string, attempt int) (Log, error) {
	return one(tx, missing("log", fmt.Sprintf("of attempt %d of %s", attempt, step)), scanLog,
		selectLogs+" WHERE run = ? AND step = ? AND attempt = ?", run, step, attempt)
}

// Logs answers the logs of a run.
func (tx *Tx) Logs(run string) ([]Log, error) {
	return all(tx, scanLog, selectLogs+" WHERE run = ? ORDER BY step, attempt", run)
}

const selectLogs = "SELECT run, step, attempt, lines, size, finished FROM logs"

func scanLog(r row) (Log, error) {
	var l Log
	var finished int64
	err := r.Scan(&l.Run, &l.Step, &l.Attempt, &l.Lines, &l.Size, &finished)
	l.FinishedAt = moment(finished)
	return l, err
}
