package towpath

// Artifact is what a step kept: a tree of files, named by the digest of its manifest.
type Artifact struct {
	Step     string // the step that made it
	Digest   string // "sha256:" and 64 hexadecimal digits, of the manifest
	Path     string // where the tree stood in the workspace and stands again in later steps
	Platform string // os/arch it was built on, or "any"
	Files    int
	Size     int64 // bytes, unpacked
}
