package git

// platformConfig is what `git init` would have found out about the file system.
const platformConfig = "\tfilemode = false\n\tsymlinks = false\n\tignorecase = true\n"
