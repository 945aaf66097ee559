//go:build !race

package crontab

// zonesWalked is how many zones are gone through minute by minute.
const zonesWalked = 12
