#!/usr/bin/env bash
# Cuts the video stream into files of about 15 s, without encoding: so it cuts at key frames.
#
# A piece that begins with pictures which need the piece before it (an open GOP) could not be
# decoded whole, so there is no cut there.
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"

SEGMENT_S=15

need_set DRAPTO_INPUT DRAPTO_OUTPUT_DIR
need "$FFMPEG" "$FFPROBE"
input=$DRAPTO_INPUT
make_absolute input
readable "$input"
stream=${DRAPTO_STREAM:-$(first_video "$input")}
[[ -n $stream ]] || fail 3 "there is no video in $input"
cd -- "$DRAPTO_OUTPUT_DIR" # whose name may hold a %, which the muxer would read as a number

cut() { # cut OPTION VALUE: how the segment muxer finds its cuts
  rm -f -- [0-9]*.mkv
  ffmpeg_quiet "${SAFE[@]}" -i "file:$input" -map "0:$stream" -c copy -map_metadata -1 \
    -f segment "$@" -segment_format matroska -reset_timestamps 1 -segment_list pieces.csv \
    -segment_list_type csv %05d.mkv || fail 1 "ffmpeg could not cut stream $stream of $input"
}

begins_whole() { # true if no picture of the piece is shown before its first key frame
  "$FFPROBE" -v error -select_streams v:0 -show_entries packet=pts -of csv=p=0 \
    "${SAFE[@]}" -i "file:$1" |
    awk -F, 'NR == 1 { first = $1 + 0; next } $1 == "N/A" || $1 + 0 < first { early = 1 }
      END { exit early }' # N/A: before the beginning of the file
}

cut -segment_time "$SEGMENT_S"
good='' bad=0
while IFS=, read -r piece start _; do
  [[ $piece != 00000.mkv ]] || continue
  if begins_whole "$PWD/$piece"; then
    good+=${good:+,}$start
  else
    bad=$((bad + 1))
  fi
done <pieces.csv
if ((bad)); then
  say "$bad of the cuts fall on open GOPs and are left out"
  if [[ -n $good ]]; then cut -segment_times "$good"; else cut -segment_time 1000000000; fi
fi

# In most files a packet is a frame. Where it is not, decoding tells.
count_all() { # count_all FUNCTION: 'PIECE FRAMES' lines
  local piece
  for piece in [0-9]*.mkv; do
    printf '%s %s\n' "$piece" "$("$1" "$PWD/$piece" v:0)"
  done
}
counted=$(count_all count_frames)
total=$(awk '{ n += $2 } END { print n + 0 }' <<<"$counted")
if [[ -n ${DRAPTO_FRAMES-} && $total != "$DRAPTO_FRAMES" ]]; then
  counted=$(count_all decode_and_count)
  total=$(awk '{ n += $2 } END { print n + 0 }' <<<"$counted")
  if [[ $total != "$DRAPTO_FRAMES" ]]; then # an edit list hides frames that a copy shows again
    say "cutting gives $total frames instead of $DRAPTO_FRAMES; the film stays in one piece"
    rm -f -- [0-9]*.mkv
    printf '{\n  "segments": [{"start": 0, "end": %s}]\n}\n' "$DRAPTO_FRAMES"
    exit
  fi
fi

awk 'BEGIN { printf "{\n  \"segments\": [" }
  { printf "%s\n    {\"path\": \"%s\", \"frames\": %d}", comma, $1, $2; comma = "," }
  END { printf "\n  ]\n}\n" }' <<<"$counted"
