#!/usr/bin/env bash
# The decoder that ships with `mini`, in nine trainings (two hours on two free cores):
#   bash recipes/mini/train_decoder.sh DIR/ESC-50 DIR/UrbanSound8K results/decoder
# The first learns to tell prompts and sources apart. The others go on from where the one
# before ended, asking for less sound: strict from the start, masks stay all ones. From the
# sixth on the loss hears what is played. benchmarks/NOTES.md has the figures of each.
set -euo pipefail
esc50=$1 urbansound8k=$2 out=$3
cd "$(dirname "$0")/../.."

# NAME, weights of the loss, then what else is other than in the yaml
stage() {
    python train.py hparams/lmac_zs_mini.yaml --data_folder "$esc50" \
        --train_folds "[1, 2, 3]" --urbansound8k_folder "$urbansound8k" \
        --precision bf16 --output_folder "$out/$1" --objectives "{default: {$2}}" "${@:3}"
}

# NAME, the stage to go on from, epochs, l1, l1_foreign, weights of the loss
go_on() {
    stage "$1" "$6" --start_from "$out/$2/export" --number_of_epochs "$3" \
        --lr 0.001 --ramp 0.3 --l1 "$4" --l1_foreign "$5"
}

masked="mix_share: 0.6, played_share: 0.0"
played="mix_share: 0.6, played_share: 1.0"
stage first "played_share: 0.0" --number_of_epochs 28
go_on second first 7 9.0 4.0 "$masked, confidence: 5.0, removal: 6.0, loudness: 14.0"
go_on third second 12 10.0 4.0 "$masked, confidence: 9.0, removal: 6.0, loudness: 14.0"
go_on fourth third 5 7.0 4.0 "$masked, confidence: 9.0, removal: 7.0, loudness: 20.0"
go_on fifth fourth 5 11.0 6.0 "$masked, confidence: 9.0, removal: 7.0, loudness: 24.0"
go_on sixth fifth 14 12.0 10.0 "$played, confidence: 10.0, removal: 8.0, loudness: 28.0"
# half played, half masked: `played_share` of the yaml
go_on seventh sixth 6 11.0 9.0 \
    "mix_share: 0.6, confidence: 14.0, removal: 8.0, loudness: 32.0"
go_on eighth seventh 5 13.5 9.0 \
    "mix_share: 0.7, confidence: 15.0, removal: 8.0, loudness: 44.0"
go_on ninth eighth 4 15.0 18.0 \
    "mix_share: 0.6, confidence: 15.0, removal: 8.0, loudness: 44.0"
