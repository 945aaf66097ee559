package git

// platformConfig is what `git init` would have found out about the file system.
const platformConfig = "\tfilemode = true\n\tignorecase = true\n\tprecomposeunicode = true\n"
