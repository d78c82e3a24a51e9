#!/usr/bin/env bash
# The decoder that ships with `mini`, in five trainings (75 minutes on two free cores):
#   bash recipes/mini/train_decoder.sh DIR/ESC-50 DIR/UrbanSound8K results/decoder
# The first learns to tell prompts and sources apart. The others go on from where the one
# before ended, asking for less sound: strict from the start, masks stay all ones.
set -euo pipefail
esc50=$1 urbansound8k=$2 out=$3
cd "$(dirname "$0")/../.."

# NAME, then what is other than in the yaml
stage() {
    python train.py hparams/lmac_zs_mini.yaml --data_folder "$esc50" \
        --train_folds "[1, 2, 3]" --urbansound8k_folder "$urbansound8k" \
        --precision bf16 --output_folder "$out/$1" "${@:2}"
}

# NAME, the stage to go on from, epochs, l1, l1_foreign, and the other weights
go_on() {
    stage "$1" --start_from "$out/$2/export" --number_of_epochs "$3" --lr 0.001 \
        --ramp 0.3 --l1 "$4" --l1_foreign "$5" --objectives "{default: {mix_share: 0.6, $6}}"
}

stage first --number_of_epochs 28
go_on second first 7 9.0 4.0 "confidence: 5.0, removal: 6.0, loudness: 14.0"
go_on third second 12 10.0 4.0 "confidence: 9.0, removal: 6.0, loudness: 14.0"
go_on fourth third 5 7.0 4.0 "confidence: 9.0, removal: 7.0, loudness: 20.0"
go_on fifth fourth 5 11.0 6.0 "confidence: 9.0, removal: 7.0, loudness: 24.0"
