package artifact

// noFollow has no counterpart that os.OpenFile takes.
const noFollow = 0
