#!/usr/bin/env bash
# Encodes every audio track to Opus: 64, 128, 256 and 384 kb/s for 1, 2, 6 and 8 channels, 48 kb/s
# a channel otherwise. All tracks go into one file, in their order, on the source's clock.
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"

need_set DRAPTO_INPUT DRAPTO_OUTPUT
need "$FFPROBE"
need_encoder libopus
input=$DRAPTO_INPUT output=$DRAPTO_OUTPUT
make_absolute input output
readable "$input"

bit_rate() { # bit_rate CHANNELS: kb/s
  case $1 in
    1) echo 64 ;;
    2) echo 128 ;;
    6) echo 256 ;;
    8) echo 384 ;;
    *) echo $((48 * $1)) ;;
  esac
}

# libopus takes eight layouts. Others are moved to the one that has a place for every channel; what
# fits nowhere keeps its channels without positions.
opus_layout() { # opus_layout LAYOUT CHANNELS: a layout, or nothing
  case $1 in
    mono | stereo | 3.0 | quad | 5.0 | 5.1 | 6.1 | 7.1) echo "$1" ;;
    'quad(side)') echo quad ;;
    '5.0(side)' | 4.0) echo 5.0 ;;
    '5.1(side)' | 2.1 | 3.1 | 4.1) echo 5.1 ;;
    '' | *' channels')
      case $2 in
        1) echo mono ;;
        2) echo stereo ;;
        5) echo 5.0 ;;
        6) echo 5.1 ;;
        7) echo 6.1 ;;
        8) echo 7.1 ;;
      esac
      ;;
  esac
}

options=() list='' number=0
while IFS='|' read -r stream kind _ channels layout _; do
  [[ $kind == audio ]] || continue
  kbps=$(bit_rate "$channels")
  target=$(opus_layout "$layout" "$channels")
  options+=(-map "0:$stream" "-b:a:$number" "${kbps}k")
  if [[ -n $target ]]; then
    options+=("-filter:a:$number" "aformat=channel_layouts=$target")
  else
    options+=("-mapping_family:a:$number" 255)
  fi
  list+="${list:+,}
    {\"stream\": $stream, \"channels\": $channels, \"kbps\": $kbps}"
  number=$((number + 1))
done < <(streams_of "$input")

if ((number)); then
  ffmpeg_quiet "${SAFE[@]}" -i "file:$input" "${options[@]}" -c:a libopus \
    -map_chapters -1 -f matroska "file:$output" ||
    fail 1 "ffmpeg could not encode the audio of $input"
fi
printf '{\n  "tracks": [%s]\n}\n' "${list:+$list
  }"
