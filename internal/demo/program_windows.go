package demo

// programName is the file of the program in the demo's folder.
const programName = "towpath.exe"
