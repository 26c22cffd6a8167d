#!/usr/bin/env bash
# The whole legacy pipeline, from a terminal:
#
#   encode.sh in.mkv out.mkv
#
# DRAPTO_CRF, DRAPTO_PRESET, DRAPTO_CROP (auto, off, W:H:X:Y), DRAPTO_VMAF_TARGET and
# DRAPTO_WORKERS change what it does; DRAPTO_FFMPEG names an ffmpeg with libsvtav1 and libopus.
# Needs ffprobe and mediainfo; GNU parallel where it is installed, otherwise xargs.
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"

[[ $# == 2 ]] || fail 2 'usage: encode.sh INPUT OUTPUT.mkv'
input=$1 output=$2
make_absolute input output
[[ $output == *.mkv ]] || fail 2 "the output must end in .mkv, not be $2"
[[ ! -e $output ]] || fail 2 "$2 exists already"
[[ -d ${output%/*} && -w ${output%/*} ]] || fail 2 "the directory of $2 cannot be written to"
readable "$input"
need "$FFPROBE" "$MEDIAINFO"
need_encoder libsvtav1
need_encoder libopus

work=$(mktemp -d -- "${output%/*}/.legacy.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
mkdir -- "$work/pieces" "$work/encoded"

stage() { # stage NAME: its JSON lies in the work directory afterwards
  say "$1 …"
  bash "$here/$1.sh" >"$work/$1.json"
}

# One segment a line; what runs them in parallel puts the name in place of @PIECE@.
each_segment() {
  local runner=(xargs -0 -P "$workers" -I @PIECE@) command
  command=(env DRAPTO_INPUT=pieces/@PIECE@ DRAPTO_OUTPUT=encoded/@PIECE@ DRAPTO_STREAM=0
    bash "$here/encode_segment.sh")
  if [[ $(parallel --version 2>/dev/null || true) == *'GNU parallel'* ]]; then
    runner=(parallel --will-cite -0 -q -j "$workers" --halt 'now,fail=1' -I @PIECE@)
  fi
  (cd -- "$work/pieces" && printf '%s\0' [0-9]*.mkv) |
    (cd -- "$work" && "${runner[@]}" "${command[@]}" >encode_segment.json)
}

DRAPTO_STREAM=${DRAPTO_STREAM:-$(first_video "$input")}
[[ -n $DRAPTO_STREAM ]] || fail 3 "there is no video in $input"
export DRAPTO_STREAM DRAPTO_INPUT=$input DRAPTO_WORK_DIR=$work
stage detect
DRAPTO_OUTPUT_DIR=$work/pieces stage segment

found() { json_get "$work/detect.json" "$1"; }
DRAPTO_CROP=$(found crop)
DRAPTO_DYNAMIC_RANGE=$(found dynamic_range)
DRAPTO_COLOR_PRIMARIES=$(found primaries)
DRAPTO_COLOR_TRANSFER=$(found transfer)
DRAPTO_COLOR_MATRIX=$(found matrix)
DRAPTO_COLOR_RANGE=$(found range)
DRAPTO_CHROMA_LOCATION=$(found chroma_location)
DRAPTO_MASTERING_DISPLAY=$(found mastering_display)
DRAPTO_CONTENT_LIGHT=$(found content_light)
export DRAPTO_CROP DRAPTO_DYNAMIC_RANGE DRAPTO_COLOR_PRIMARIES DRAPTO_COLOR_TRANSFER \
  DRAPTO_COLOR_MATRIX DRAPTO_COLOR_RANGE DRAPTO_CHROMA_LOCATION DRAPTO_MASTERING_DISPLAY \
  DRAPTO_CONTENT_LIGHT
cores=$(nproc)
workers=${DRAPTO_WORKERS:-$(((cores + 1) / 2))}
export DRAPTO_THREADS=${DRAPTO_THREADS:-2}
say 'encode_segment …'
each_segment || fail 1 'a segment could not be encoded: see the lines above'

cp -- "$work/pieces/pieces.csv" "$work/encoded/"
DRAPTO_OUTPUT=$work/audio.mka stage audio
DRAPTO_SEGMENTS_DIR=$work/encoded DRAPTO_AUDIO=$work/audio.mka DRAPTO_OUTPUT=$work/output.mkv \
  stage mux
DRAPTO_OUTPUT=$work/output.mkv stage validate
mv -T -n -- "$work/output.mkv" "$output"
printf '{\n  "frames": %s,\n  "size_bytes": %s\n}\n' \
  "$(json_get "$work/validate.json" frames)" "$(json_get "$work/mux.json" size_bytes)"
