#!/usr/bin/env bash
# What the source is: dynamic range (Dolby Vision by mediainfo), size, colour and streams (by
# ffprobe), and where the picture lies in the frame (cropdetect, sampled across the film).
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"

SAMPLES=10       # places in the film that are looked at
SAMPLE_FRAMES=8  # at each
LIMIT=0.094118   # what counts as black: code 24 of 255, ffmpeg's own default, at any bit depth

need_set DRAPTO_INPUT
need "$FFMPEG" "$FFPROBE" "$MEDIAINFO"
input=$DRAPTO_INPUT
make_absolute input
readable "$input"
stream=${DRAPTO_STREAM:-$(first_video "$input")}
[[ -n $stream ]] || fail 3 "there is no video in $input"

width=$(stream_value "$input" "$stream" width)
height=$(stream_value "$input" "$stream" height)
[[ $width =~ ^[1-9][0-9]*$ && $height =~ ^[1-9][0-9]*$ ]] ||
  fail 3 "stream $stream of $input has no picture that ffprobe can tell the size of"

# KEY=VALUE lines: first what the container says, then what the first frame says.
facts=$("$FFPROBE" -v error -select_streams "$stream" -read_intervals '%+#1' -show_frames \
  -show_entries "stream=color_primaries,color_transfer,color_space,color_range,chroma_location:\
stream_side_data:frame=color_primaries,color_transfer,color_space,color_range:frame_side_data" \
  -of default=noprint_wrappers=1 "${SAFE[@]}" -i "file:$input") ||
  fail 3 "ffprobe cannot read $input"

fact() { # fact KEY: the last value that says something
  awk -F= -v key="$1" '$1 == key && $2 !~ /^(unknown|unspecified|reserved|N\/A)?$/ { v = $2 }
    END { print v }' <<<"$facts"
}

number() { # number KEY: a fraction such as 34000/50000, as a decimal that reads back the same
  awk -F= -v key="$1" '$1 == key { split($2, part, "/"); v = part[2] ? part[1] / part[2] : part[1]
    s = sprintf("%.10g", v); if (s + 0 != v) s = sprintf("%.17g", v); print s; exit }' <<<"$facts"
}

dynamic_range() {
  local formats transfer
  # StreamOrder is '1', or '0-1' (program and stream) in a transport stream.
  formats=$("$MEDIAINFO" --Output='Video;%StreamOrder%|%HDR_Format%\n' "$input" |
    awk -F'|' -v stream="$stream" '{ sub(/^.*-/, "", $1) } $1 == stream { print $2 }')
  transfer=$(fact color_transfer)
  if [[ $formats == *'Dolby Vision'* || $facts == *'DOVI configuration record'* ]]; then
    printf dolby_vision
  elif [[ $formats == *'SMPTE ST 2094 App 4'* || $facts == *'SMPTE2094-40'* ]]; then
    printf 'hdr10+'
  elif [[ $transfer == smpte2084 ]]; then
    printf hdr10
  elif [[ $transfer == arib-std-b67 ]]; then
    printf hlg
  else
    printf sdr
  fi
}

mastering_display() { # in the words of SVT-AV1
  [[ $facts == *'Mastering display metadata'* && -n $(number red_x) ]] || return 0
  [[ -n $(number max_luminance) ]] || return 0
  printf 'G(%s,%s)B(%s,%s)R(%s,%s)WP(%s,%s)L(%s,%s)' \
    "$(number green_x)" "$(number green_y)" "$(number blue_x)" "$(number blue_y)" \
    "$(number red_x)" "$(number red_y)" "$(number white_point_x)" "$(number white_point_y)" \
    "$(number max_luminance)" "$(number min_luminance)"
}

content_light() { # MaxCLL,MaxFALL
  local light
  light=$(number max_content),$(number max_average)
  [[ $light == , || $light == 0,0 ]] || printf '%s' "$light"
}

dolby_vision() {
  local profile level compatibility layer
  profile=$(fact dv_profile)
  [[ -n $profile ]] || { printf null; return; }
  level=$(fact dv_level)
  compatibility=$(fact dv_bl_signal_compatibility_id)
  layer=$(fact el_present_flag)
  printf '{"profile": %s, "level": %s, "compatibility_id": %s, "has_enhancement_layer": %s}' \
    "$profile" "${level:-null}" "${compatibility:-null}" \
    "$([[ $layer == 1 ]] && printf true || printf false)"
}

streams() { # a list such as "video:hevc", "audio:ac3"
  streams_of "$input" | awk -F'|' '{ printf "%s\"%s:%s\"", comma, $2, $3; comma = ", " }'
}

sample() { # sample SECONDS: the crop of a few frames from there on; ffmpeg prints it on stderr
  "$FFMPEG" -nostdin -hide_banner -v info -noautorotate -ss "$1" "${SAFE[@]}" -i "file:$input" \
    -map "0:$stream" -frames:v "$SAMPLE_FRAMES" \
    -vf "cropdetect=limit=$LIMIT:round=2:skip=0" -f null - </dev/null 2>&1 |
    sed -n 's/.* crop=\(-\{0,1\}[0-9]*:-\{0,1\}[0-9]*:[0-9]*:[0-9]*\).*/\1/p' | tail -n 1
}

# The picture that more than half of the samples agree on: 'W:H:X:Y SHARE'. Nothing if there is
# none; samples that are black have no say.
majority() {
  sort | uniq -c | awk '
    { total += $1 }
    $1 > most { most = $1; best = $2 }
    END { if (most * 2 > total) printf "%s %.3f", best, most / total }'
}

crop='' share=0
case ${DRAPTO_CROP:-auto} in
  off) ;;
  auto)
    duration=$(container_value "$input" duration)
    [[ $duration =~ ^[0-9.]+$ ]] || duration=0
    found=''
    for ((i = 0; i < SAMPLES; i++)); do
      at=$(awk -v d="$duration" -v i="$i" -v n="$SAMPLES" 'BEGIN { printf "%.3f", d * i / n }')
      found+=$(sample "$at" || true)$'\n'
      [[ $duration != 0 ]] || break
    done
    [[ $found == *:* ]] || fail 3 "not one video frame of $input could be decoded"
    # A black frame gives a negative size.
    read -r crop share <<<"$(awk '/^[1-9][0-9]*:[1-9]/' <<<"$found" | majority)" || true
    [[ $crop != "$width:$height:0:0" ]] || crop=''
    ;;
  *) crop=$DRAPTO_CROP share=1 ;;
esac

range=$(dynamic_range)
mastering=$(mastering_display)
light=$(content_light)
vision=$(dolby_vision)
listed=$(streams)
cat <<JSON
{
  "dynamic_range": "$range",
  "width": $width,
  "height": $height,
  "crop": $(json_or_null "$crop"),
  "crop_confidence": ${share:-0},
  "color": {
    "primaries": $(json_or_null "$(fact color_primaries)"),
    "transfer": $(json_or_null "$(fact color_transfer)"),
    "matrix": $(json_or_null "$(fact color_space)"),
    "range": $(json_or_null "$(fact color_range)"),
    "chroma_location": $(json_or_null "$(fact chroma_location)"),
    "mastering_display": $(json_or_null "$mastering"),
    "content_light": $(json_or_null "$light"),
    "dolby_vision": $vision
  },
  "streams": [$listed]
}
JSON
