#!/usr/bin/env bash
# Joins the encoded segments and puts the other tracks beside them: the audio that audio.sh
# made, and from the source subtitles, chapters, attachments, cover pictures and tags.
#
# DRAPTO_SEGMENTS_DIR holds the encoded segments by their number and, if segment.sh wrote it,
# pieces.csv with the time at which each begins.
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"

need_set DRAPTO_INPUT DRAPTO_SEGMENTS_DIR DRAPTO_OUTPUT
need "$FFMPEG" "$FFPROBE"
input=$DRAPTO_INPUT output=$DRAPTO_OUTPUT audio=${DRAPTO_AUDIO:-}
make_absolute input output
[[ -z $audio ]] || make_absolute audio
readable "$input"
stream=${DRAPTO_STREAM:-$(first_video "$input")}
[[ -n $stream ]] || fail 3 "there is no video in $input"
cd -- "$DRAPTO_SEGMENTS_DIR" # ffmpeg's list then holds names that need no quoting

# Without its duration each segment would be placed after the rounded one of that before.
{
  echo 'ffconcat version 1.0'
  for piece in [0-9]*.mkv; do
    echo "file $piece"
    [[ ! -e pieces.csv ]] || awk -F, -v piece="$piece" \
      '$1 == piece { printf "duration %.6f\n", $3 - $2 }' pieces.csv
  done
} >list.txt

source_start=$(container_value "$input" start_time)
[[ $source_start =~ ^-?[0-9.]+$ ]] || source_start=0
video_start=$(stream_value "$input" "$stream" start_time)
[[ $video_start =~ ^-?[0-9.]+$ ]] || video_start=$source_start
delay=$(awk -v a="$video_start" -v b="$source_start" 'BEGIN { printf "%.6f", a - b }')
back=$(awk -v b="$source_start" 'BEGIN { printf "%.6f", -b }')

inputs=(-copyts -itsoffset "$delay" -f concat "${SAFE_LIST[@]}" -i list.txt)
inputs+=(-itsoffset "$back" "${SAFE[@]}" -i "file:$input")
maps=(-map 0:v:0)
if [[ -n $audio && -s $audio ]]; then
  inputs+=("${SAFE[@]}" -i "file:$audio")
  maps+=(-map 2:a)
fi

tags=()
for tag in language title; do
  value=$("$FFPROBE" -v error -select_streams "$stream" -show_entries "stream_tags=$tag" \
    -of default=noprint_wrappers=1:nokey=1 "${SAFE[@]}" -i "file:$input")
  [[ -z $value ]] || tags+=(-metadata:s:v:0 "$tag=$value")
done

# ffmpeg would make a video track of a cover picture, so it is taken out and attached again.
attach_cover() { # attach_cover INDEX CODEC
  local name=cover type=image/$2
  case $2 in
    mjpeg) name+=.jpg type=image/jpeg ;;
    *) name+=.$2 ;;
  esac
  ffmpeg_quiet "${SAFE[@]}" -i "file:$input" -map "0:$1" -c copy -frames:v 1 \
    -f image2 -update 1 "$1.$name"
  covers+=(-attach "$1.$name" "-metadata:s:t:$attachments" "mimetype=$type")
  covers+=("-metadata:s:t:$attachments" "filename=$name")
}

subtitles=0 attachments=0 lost=0 covers=()
while IFS='|' read -r index kind codec _; do
  case $kind in
    subtitle)
      maps+=(-map "1:$index")
      case $codec in
        mov_text | text) maps+=("-c:s:$subtitles" srt) ;;
      esac
      subtitles=$((subtitles + 1))
      ;;
    attachment)
      maps+=(-map "1:$index")
      attachments=$((attachments + 1))
      ;;
    data)
      say "stream $index ($codec) cannot be kept in Matroska"
      lost=$((lost + 1))
      ;;
  esac
done < <(streams_of "$input")
while IFS='|' read -r index _ codec _ _ cover; do # after the attachments that are mapped
  [[ $cover == 1 ]] || continue
  attach_cover "$index" "$codec"
  attachments=$((attachments + 1))
done < <(streams_of "$input")

ffmpeg_quiet "${inputs[@]}" -c copy "${maps[@]}" ${covers[@]+"${covers[@]}"} -map_metadata 1 \
  -map_chapters 1 ${tags[@]+"${tags[@]}"} -default_mode passthrough -f matroska "file:$output" ||
  fail 1 "ffmpeg could not join the tracks of $input"
printf '{\n  "size_bytes": %s,\n  "lost_tracks": %s\n}\n' "$(stat -c %s -- "$output")" "$lost"
