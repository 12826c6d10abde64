#!/bin/sh
# last_words.sh LOG: what an installer says is wrong and why, in one line without signs and full stop.
said=$(grep -m 1 -iE '×|error|failed|no space|not found' "$1" || tail -n 1 "$1")
said=$(printf '%s' "$said" | sed -E 's/^[[:space:]]*(×|ERROR:|error:)?[[:space:]]*//; s/[.[:space:]]*$//' | cut -c1-300)
cause=$(sed -nE 's/^ *cause: //p' "$1" | tail -n 1 | cut -c1-300)
printf '%s' "$said${cause:+ ($cause)}"
