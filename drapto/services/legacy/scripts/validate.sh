#!/usr/bin/env bash
# Compares the output with the source: frames, duration, tracks; and decodes the whole picture.
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"

TOLERANCE_S=0.05 # between the first frame and the last: containers round

need_set DRAPTO_INPUT DRAPTO_OUTPUT
need "$FFMPEG" "$FFPROBE"
input=$DRAPTO_INPUT output=$DRAPTO_OUTPUT
make_absolute input output
readable "$input"
readable "$output"
stream=${DRAPTO_STREAM:-$(first_video "$input")}

problems=()

codec=$(stream_value "$output" v:0 codec_name)
[[ $codec == av1 ]] || problems+=("the video is $codec, not av1")

wanted=$(count_frames "$input" "$stream")
frames=$(decode_and_count "$output" v:0)
if [[ $frames != "$wanted" ]]; then # packets of the source need not be frames
  wanted=$(decode_and_count "$input" "$stream")
  [[ $frames == "$wanted" ]] || problems+=("$frames frames instead of $wanted")
fi

span() { # span FILE STREAM: seconds from its first frame to its last
  "$FFPROBE" -v error -select_streams "$2" -show_entries packet=pts_time -of csv=p=0 \
    "${SAFE[@]}" -i "file:$1" |
    awk -F, '$1 ~ /^-?[0-9]/ { if (!n++ || $1 < min) min = $1; if ($1 > max) max = $1 }
      END { if (n) printf "%.6f", max - min }'
}
before=$(span "$input" "$stream")
after=$(span "$output" v:0)
if [[ -n $before && $before != 0.000000 ]]; then
  awk -v a="$before" -v b="$after" -v t="$TOLERANCE_S" 'BEGIN { d = a - b; exit d > t || d < -t }' ||
    problems+=("the picture lasts $after s instead of $before s")
fi

count_streams() { # count_streams FILE KIND
  streams_of "$1" | awk -F'|' -v kind="$2" '$2 == kind { n++ } END { print n + 0 }'
}
for kind in audio subtitle attachment; do
  before=$(count_streams "$input" "$kind")
  after=$(count_streams "$output" "$kind")
  ((after >= before)) || problems+=("$after streams of kind $kind instead of $before")
done

list=''
for problem in ${problems[@]+"${problems[@]}"}; do
  say "$problem"
  list+="${list:+, }$(json_string "$problem")"
done
printf '{\n  "frames": %s,\n  "problems": [%s]\n}\n' "${frames:-0}" "$list"
((${#problems[@]} == 0)) || exit 5
