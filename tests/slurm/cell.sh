#!/bin/sh
# The daemons of a Slurm of one node, in a process namespace of their own: what they start ends with it.
# $1 is the directory that `cell.py` has prepared, with slurm.conf in it.
set -eu
export SLURM_CONF="$1/slurm.conf"
munged --foreground --force --key-file="$1/munge.key" --socket="$1/munge/socket" \
  --pid-file="$1/munge/pid" --log-file="$1/munge.log" --seed-file="$1/munge.seed" \
  >"$1/munge.out" 2>&1 &
until [ -S "$1/munge/socket" ]; do sleep 0.05; done
slurmctld -D >"$1/slurmctld.out" 2>&1 &
slurmd -D -N node-01 >"$1/slurmd.out" 2>&1 &
wait
