#!/bin/bash
# Trains the parts of a bundle as an array of jobs, one a part, on any nodes that share this folder. See ../README.md.
#
#     id=$(sbatch --parsable --array=0-3 slurm.sh)
#     sbatch --dependency=afterok:$id --wrap "rocoin distill merge part-*.work --teacher teacher.onnx --data data --out bundle"
#
#SBATCH --job-name=rocoin-distill
#SBATCH --array=0-3
#SBATCH --cpus-per-task=2
#SBATCH --mem=4G
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=part-%a.log
set -euo pipefail

# As many parts as the array has jobs, whatever its range: every job needs the same number.
parts=${SLURM_ARRAY_TASK_COUNT:?this is an array job: submit it with sbatch --array=0-3}
part=$((SLURM_ARRAY_TASK_ID - SLURM_ARRAY_TASK_MIN))

# A job that was ended, requeued or out of time goes on where it was: at most one epoch of each student is lost.
exec rocoin distill \
  --teacher "${TEACHER:-teacher.onnx}" \
  --data "${DATA:-data}" \
  --parts "$parts" \
  --zoo "${ZOO:-wrn-16-1}" \
  --epochs "${EPOCHS:-12}" \
  --seed "${SEED:-0}" \
  --part "$part" \
  --jobs "${SLURM_CPUS_PER_TASK:-2}" \
  --out "part-$part" \
  --resume
