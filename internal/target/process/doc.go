// Package process is the target whose slots are instances on this machine, each a process under a small supervisor.
//
// An environment has a folder below the worker's data folder:
//
//	instances/<pipeline>/<environment>/
//	  epoch.json   highest epoch that gave an order here; it fences an environment that has no instances
//	  lock         held while an epoch is compared and while what it allows takes effect at once
//	  files/<id>/  the release's files; a folder stands there whole or not at all
//	  assets/      of each instance, what it has itself in the folder of assets, and what it got of others
//	  tmp/<id>/    the instance's temporary files (TMPDIR)
//	  run/<id>/    the supervisor's folder: what runs, its epoch, its log
//	  beside/<id>@<process>/  the same, for what runs beside an instance's web process
//	  single/<id>@<process>/  the same, for a process of which at most one may run, and which runs from that instance's files
//
// What is observed follows from these folders, from the supervisors' words and from the probe, and from nothing that
// is remembered. The one thing that is remembered is how the last probes of an instance ended, since one failed probe
// in a row of good ones says little.
package process
