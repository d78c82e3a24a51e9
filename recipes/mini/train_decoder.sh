#!/usr/bin/env bash
# The decoder that ships with `mini`, in two trainings (an hour on two cores):
#   bash recipes/mini/train_decoder.sh DIR/ESC-50 DIR/UrbanSound8K results/decoder
# The first learns to tell prompts and sources apart, the second, from where it ended, to
# do so with less: the weights of the second from the start leave the mask all ones.
set -euo pipefail
esc50=$1 urbansound8k=$2 out=$3
common=(hparams/lmac_zs_mini.yaml --data_folder "$esc50" --train_folds "[1, 2, 3]"
    --urbansound8k_folder "$urbansound8k" --precision bf16)
cd "$(dirname "$0")/../.."
python train.py "${common[@]}" --output_folder "$out/first" --number_of_epochs 28
python train.py "${common[@]}" --output_folder "$out/second" \
    --start_from "$out/first/export" --number_of_epochs 7 --lr 0.001 --ramp 0.3 \
    --l1 9.0 --l1_foreign 4.0 --objectives \
    "{default: {mix_share: 0.6, confidence: 5.0, removal: 6.0, loudness: 14.0}}"
