//go:build race

package crontab

// zonesWalked is how many zones are gone through minute by minute: the race detector makes each minute ten times as long,
// and there is nothing for it here.
const zonesWalked = 2
