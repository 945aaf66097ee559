#!/bin/sh
# Asks the deployed shop, whose address is the first argument, for its pages.
exec ./dist/shopcheck "${1:?usage: smoke.sh URL}"
