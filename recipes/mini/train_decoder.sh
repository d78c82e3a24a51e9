#!/usr/bin/env bash
# The decoder that ships with `mini`, the mean of three of twelve trainings (five hours on
# two free cores), in results/decoder/ships:
#   bash recipes/mini/train_decoder.sh DIR results/decoder
# DIR holds ESC-50, UrbanSound8K and freesound_overlap.csv, as in recipes/mini/README.md.
# The first learns to tell prompts and sources apart while it is asked for less and less
# sound: strict from the start, masks stay all ones. The others go on from where the one
# before ended, or from a mean of such ends, at weights that stay. From the fifth on some
# clips are heard in white noise, from the seventh on some are asked about sentences that
# have little in the clip to show, from the eighth on a prompt is to get likelier.
# benchmarks/NOTES.md has the figures of each, and says what was otherwise in the code
# that they were trained with.
set -euo pipefail
data=$1 out=$2
cd "$(dirname "$0")/../.."

# NAME, epochs, l1, l1_foreign, weights of the loss, then what else is other than in the yaml
stage() {
    python train.py hparams/lmac_zs_mini.yaml --data_folder "$data/ESC-50" \
        --train_folds "[1, 2, 3]" --urbansound8k_folder "$data/UrbanSound8K" \
        --exclude_csv "$data/freesound_overlap.csv" --precision bf16 \
        --output_folder "$out/$1" --number_of_epochs "$2" --l1 "$3" --l1_foreign "$4" \
        --objectives "{default: {$5}}" "${@:6}"
}

plain="mix_share: 0.6, questions: {left_out: 0.0}, order: 0.0"
stage first 34 "[0.3, 10.0]" "[1.5, 8.0]" \
    "$plain, confidence: [1.0, 10.0], removal: [3.0, 8.0], loudness: [6.0, 30.0]"
stage second 10 15.0 18.0 "$plain, confidence: 15.0, removal: 8.0, loudness: 44.0" \
    --start_from "$out/first/export" --lr 0.001
stage third 24 16.0 20.0 \
    "mix_share: 0.6, order: 0.0, confidence: 17.0, removal: 8.0, loudness: 44.0" \
    --start_from "$out/second/export" --lr 0.0015
stage fourth 7 15.5 14.0 "confidence: 22.0, removal: 8.0, loudness: 44.0" \
    --start_from "$out/third/export" --lr 0.001
stage fifth 10 13.0 14.0 \
    "noise_share: 0.2, confidence: 28.0, removal: 8.0, loudness: 44.0" \
    --start_from "$out/fourth/export" --lr 0.0012
python recipes/mini/average.py "$out/fourth/export" "$out/fifth/export" "$out/mean"
noise="noise_share: 0.5, confidence: 28.0, removal: 8.0, loudness: 44.0"
stage sixth 6 14.0 14.0 "$noise" --start_from "$out/mean" --lr 0.0012
noise="$noise, noise_db: 10.0"
stage seventh 5 14.0 14.0 "$noise, questions: {unlikely_share: 0.4}" \
    --start_from "$out/sixth/export" --lr 0.0012
stage eighth 5 14.0 14.0 "$noise, odds: 1.6, questions: {unlikely_share: 0.3}" \
    --start_from "$out/seventh/export" --lr 0.001
noise="$noise, noise_l1: 0.4, questions: {unlikely_share: 0.4}"
stage ninth 5 14.0 14.0 "$noise, odds: 2.0" \
    --start_from "$out/eighth/export" --lr 0.001
python recipes/mini/average.py "$out/seventh/export" "$out/eighth/export" \
    "$out/ninth/export" "$out/mean_of_three"
stage tenth 6 15.0 5.0 "$noise, odds: 1.6" --start_from "$out/mean_of_three" --lr 0.0012
stage eleventh 3 17.0 5.0 "$noise, odds: 1.6" \
    --start_from "$out/tenth/export" --lr 0.0008
python recipes/mini/average.py "$out/seventh/export" "$out/tenth/export" \
    "$out/eleventh/export" "$out/mean_of_later"
noise="noise_share: 0.6, confidence: 28.0, removal: 8.0, loudness: 44.0, noise_db: 10.0"
stage twelfth 4 18.0 4.0 \
    "$noise, noise_l1: 0.2, questions: {unlikely_share: 0.4}, odds: 3.0" \
    --start_from "$out/mean_of_later" --lr 0.001
python recipes/mini/average.py "$out/seventh/export" "$out/eleventh/export" \
    "$out/twelfth/export" "$out/ships"
