// Package hosts is the target whose slots are on hosts that are reached by SSH, with nothing of ours installed there.
//
// Below the environment's path, a host has:
//
//	releases/<id>/        an instance's files, where it runs
//	current               link to the instance that runs; <slot>/current where the host has several slots
//	env                   what it runs with, beside its link: secrets too, so only the owner reads it
//	shared/               what all instances have in common
//	tmp/<id>/             an instance's temporary files
//	.towpath/epoch        highest epoch that gave an order here
//	.towpath/lock         held by flock(1) while an order is carried out
//	.towpath/instances/   one file for each instance that is placed: it is there as soon as all the rest is
//	.towpath/slots/       which instance was started in a slot, since which boot, and how that ended
//	.towpath/assets/<id>  files of the assets folder that an instance has itself; with .from, what it got of others
//	.towpath/log/<id>     what the scripts of an instance printed
//	.towpath/tmp/         what is on its way in, and is swept away
//
// Whatever changes anything is a script that holds the lock, compares the epoch, and has a watchdog beside it, which ends it
// at its deadline whether the keeper is still there or not (script_enter.go). What is observed follows from these files, the
// host's boot and the probe. The last sight of a host that does not answer is remembered, and told as unknown.
package hosts
