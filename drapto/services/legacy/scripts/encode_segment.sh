#!/usr/bin/env bash
# Encodes one segment to AV1: a file that segment.sh cut, or a range of the source.
#
# With a VMAF target the quality is searched for: three 1 s samples; then six 2 s samples; then
# the same with the target minus 2. ab-av1 searches where it is installed and the segment is a
# file, otherwise this script bisects. Dolby Vision takes the plain CRF.
here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
. "$here/lib.sh"

export SVT_LOG=${SVT_LOG:-1} # errors only, not a banner for every run
VMAF_OPTIONS=n_subsample=8:pool=harmonic_mean
MIN_CRF=10 # of the search; ab-av1 has the same limits for SVT-AV1
MAX_CRF=55

need_set DRAPTO_INPUT DRAPTO_OUTPUT
need "$FFPROBE"
need_encoder libsvtav1
[[ ${DRAPTO_ENCODER:-svt-av1} == svt-av1 ]] ||
  fail 2 "the legacy scripts encode with svt-av1 only, not with $DRAPTO_ENCODER"
input=$DRAPTO_INPUT output=$DRAPTO_OUTPUT
make_absolute input output
readable "$input"
stream=${DRAPTO_STREAM:-$(first_video "$input")}
[[ -n $stream ]] || fail 3 "there is no video in $input"
place=${DRAPTO_WORK_DIR:-${output%/*}}
make_absolute place
scratch=$(mktemp -d -- "$place/search.XXXXXX")
trap 'rm -rf -- "$scratch"' EXIT

preset=${DRAPTO_PRESET:-6}
crop=${DRAPTO_CROP-}
if [[ -n $crop ]]; then
  width=${crop%%:*}
else
  width=$(stream_value "$input" "$stream" width)
fi

crf_by_width() {
  if ((width <= 1280)); then echo 25; elif ((width <= 1920)); then echo 25; else echo 29; fi
}

# Where to read, and how the frames of the segment are kept apart from the others: by their
# timestamps, never by counting from wherever a seek landed.
source=(-noautorotate)
if [[ -n ${DRAPTO_FIRST_PTS-} ]]; then
  source+=(-copyts -seek_timestamp 1 -noaccurate_seek)
  [[ -z ${DRAPTO_SEEK_S-} ]] || source+=(-ss "$DRAPTO_SEEK_S")
fi
[[ -z ${DRAPTO_DEINTERLACE-} ]] || source+=(-reinit_filter 0) # as the filters number the frames
source+=("${SAFE[@]}" -i "file:$input" -map "0:$stream")
filters=()
deinterlaced=false
if [[ -n ${DRAPTO_DEINTERLACE-} ]]; then # what scales or crops would mix the lines of the fields
  filters+=("$DRAPTO_DEINTERLACE")
  deinterlaced=true
fi
if [[ -n ${DRAPTO_FIRST_PTS-} ]]; then
  filters+=("trim=start_pts=$DRAPTO_FIRST_PTS${DRAPTO_END_PTS:+:end_pts=$DRAPTO_END_PTS}")
fi
timing=()
if [[ -n ${DRAPTO_FRAME_RATE-} ]]; then # timestamps count frames
  tick=${DRAPTO_FRAME_RATE#*/}/${DRAPTO_FRAME_RATE%/*}
  filters+=("settb=$tick" setpts=N)
  timing=(-enc_time_base "$tick")
else # timestamps stay what they are in the piece
  filters+=(setpts=PTS-STARTPTS)
  timing=(-enc_time_base 1/1000) # as Matroska keeps them
fi
[[ -z $crop ]] || filters+=("crop=$crop:exact=1")
frames_of_segment=$(IFS=, && printf '%s' "${filters[*]}")

knows() { # knows encoder=NAME|filter=NAME OPTION: older versions of ffmpeg lack some
  local help
  help=$("$FFMPEG" -hide_banner -v error -h "$1")
  [[ $help == *"$2"* ]]
}

colors=''
stamp() { [[ -z $2 ]] || colors+="${colors:+:}$1=$2"; }
stamp color_primaries "${DRAPTO_COLOR_PRIMARIES-}"
stamp color_trc "${DRAPTO_COLOR_TRANSFER-}"
stamp colorspace "${DRAPTO_COLOR_MATRIX-}"
stamp range "${DRAPTO_COLOR_RANGE-}"
picture="${colors:+setparams=$colors,}format=yuv420p10le"
if [[ -n ${DRAPTO_CHROMA_LOCATION-} ]] && knows filter=setparams chroma_location; then
  picture+=",setparams=chroma_location=$DRAPTO_CHROMA_LOCATION" # format conversion forgets it
fi

parameters=tune=0
[[ -z ${DRAPTO_THREADS-} ]] || parameters+=":lp=$DRAPTO_THREADS"
[[ ${DRAPTO_CHROMA_LOCATION-} != topleft ]] || parameters+=:chroma-sample-position=topleft
[[ -z ${DRAPTO_MASTERING_DISPLAY-} ]] || parameters+=":mastering-display=$DRAPTO_MASTERING_DISPLAY"
[[ -z ${DRAPTO_CONTENT_LIGHT-} ]] || parameters+=":content-light=$DRAPTO_CONTENT_LIGHT"

encoder() { # encoder CRF GRAIN: its options; -crf takes whole numbers, the parameter quarters too
  printf '%s\0' -c:v libsvtav1 -preset "$preset" -crf "${1%%.*}" -g "${DRAPTO_KEYINT:-240}" \
    -svtav1-params "crf=$1:$parameters:film-grain=$2:film-grain-denoise=$(($2 > 0))"
  # Newer versions of ffmpeg would carry a part of it over.
  if [[ ${DRAPTO_DYNAMIC_RANGE-} == dolby_vision ]] && knows encoder=libsvtav1 dolbyvision; then
    printf '%s\0' -dolbyvision 0
  fi
}

encode() { # encode CRF
  local options
  mapfile -d '' -t options < <(encoder "$1" "${DRAPTO_FILM_GRAIN:-0}")
  ffmpeg_quiet "${source[@]}" -vf "$frames_of_segment,$picture" "${options[@]}" \
    -fps_mode passthrough "${timing[@]}" -map_metadata -1 -map_chapters -1 -fflags +bitexact \
    -f matroska "file:$output" || fail 1 "ffmpeg could not encode stream $stream of $input"
}

# --- the search -------------------------------------------------------------------------------

cut_samples() { # cut_samples COUNT SECONDS: lossless pieces of the segment, spread over it
  local i start rate frames length
  rm -f -- "$scratch"/*.mkv
  frames=${DRAPTO_FRAMES:-$(count_frames "$input" "$stream")}
  rate=${DRAPTO_FRAME_RATE:-$(stream_value "$input" "$stream" avg_frame_rate)}
  length=$(awk -v r="$rate" -v s="$2" 'BEGIN { split(r, p, "/"); n = p[1] / (p[2] ? p[2] : 1) * s
    printf "%d", n < 1 ? 1 : n + 0.5 }')
  for ((i = 0; i < $1; i++)); do
    start=$((frames * (2 * i + 1) / (2 * $1) - length / 2))
    if ((frames <= length * $1)); then start=0 length=$frames; fi # all of it, once
    ffmpeg_quiet "${source[@]}" \
      -vf "$frames_of_segment,trim=start_frame=$start:end_frame=$((start + length)),$picture" \
      -c:v ffv1 -fps_mode passthrough "${timing[@]}" "file:$scratch/$i.mkv" || return 1
    ((frames > length * $1)) || break
  done
}

score_at() { # score_at CRF: mean VMAF of the samples
  local options sample score scores='' model=''
  mapfile -d '' -t options < <(encoder "$1" 0)
  ((width <= 2560)) || model=:model=version=vmaf_4k_v0.6.1
  for sample in "$scratch"/*.mkv; do
    ffmpeg_quiet "${SAFE[@]}" -i "file:$sample" "${options[@]}" -pix_fmt yuv420p10le -f matroska \
      "file:$scratch/encoded" || return 1
    score=$("$FFMPEG" -nostdin -hide_banner -v info "${SAFE[@]}" -i "file:$scratch/encoded" \
      "${SAFE[@]}" -i "file:$sample" \
      -lavfi "[0:v]settb=1/1000,setpts=N[e];[1:v]settb=1/1000,setpts=N[s];\
[e][s]libvmaf=$VMAF_OPTIONS$model" -f null - </dev/null 2>&1 |
      sed -n 's/.*VMAF score: \([0-9.]*\).*/\1/p')
    [[ -n $score ]] || fail 1 "ffmpeg could not measure VMAF at CRF $1"
    scores+=$score$'\n'
  done
  awk '{ n++; s += $1 } END { printf "%.3f", s / n }' <<<"${scores%$'\n'}"
}

reaches() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a >= b) }'; }

bisect() { # bisect COUNT SECONDS TARGET: the highest CRF whose score reaches the target
  local low=$MIN_CRF high=$MAX_CRF middle best='' score
  cut_samples "$1" "$2" || return 1
  while ((low <= high)); do
    middle=$(((low + high) / 2))
    score=$(score_at "$middle") || return 1
    say "CRF $middle gives VMAF $score"
    if reaches "$score" "$3"; then best=$middle low=$((middle + 1)); else high=$((middle - 1)); fi
  done
  [[ -n $best ]] && printf '%s' "$best"
}

ab_av1() { # ab_av1 COUNT SECONDS TARGET: the same by ab-av1, which prints 'crf 31 VMAF 93.2 …'
  local said filter=()
  [[ -z $crop ]] || filter=(--vfilter "crop=$crop:exact=1")
  said=$(ab-av1 crf-search --input "$input" --encoder libsvtav1 --preset "$preset" \
    --min-vmaf "$3" --samples "$1" --sample-duration "$2s" --vmaf n_subsample=8 \
    --vmaf pool=harmonic_mean --svt tune=0 --svt film-grain=0 --svt film-grain-denoise=0 \
    --min-crf "$MIN_CRF" --max-crf "$MAX_CRF" --pix-format yuv420p10le "${filter[@]}" \
    --temp-dir "$scratch") || return 1
  sed -n 's/^crf \([0-9][0-9.]*\) .*/\1/p' <<<"$said" | tail -n 1 | grep .
}

search() { # search COUNT SECONDS TARGET: a CRF, or failure if none reaches the target
  if [[ -z ${DRAPTO_FIRST_PTS-} ]] && command -v ab-av1 >/dev/null; then
    ab_av1 "$@"
  else
    bisect "$@"
  fi
}

searched_crf() { # searched_crf TARGET: three tries
  local lower
  lower=$(awk -v t="$1" 'BEGIN { printf "%g", t - 2 }')
  search 3 1 "$1" || search 6 2 "$1" || search 6 2 "$lower"
}

plain_crf=${DRAPTO_CRF:-$(crf_by_width)}
crf=$plain_crf
if [[ -n ${DRAPTO_VMAF_TARGET-} && ${DRAPTO_DYNAMIC_RANGE-} != dolby_vision ]]; then
  filters_known=$("$FFMPEG" -hide_banner -v error -filters)
  [[ $filters_known == *' libvmaf '* ]] ||
    fail 4 "$FFMPEG has no filter libvmaf. Name another in DRAPTO_FFMPEG, or set no VMAF target."
  if ! crf=$(searched_crf "$DRAPTO_VMAF_TARGET"); then
    say "no CRF reaches VMAF $DRAPTO_VMAF_TARGET; this segment is encoded at CRF $plain_crf"
    crf=$plain_crf
  fi
fi

encode "$crf"
printf '{\n  "frames": %s,\n  "crf": %s,\n  "deinterlaced": %s\n}\n' \
  "$(count_frames "$output" v:0)" "$crf" "$deinterlaced"
