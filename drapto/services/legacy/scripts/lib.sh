# shellcheck shell=bash
# What the legacy scripts share. Source it; it is no stage of its own.
#
# What each stage gets and prints: docs/legacy-contract.md. Exit codes: 1 failed, 2 usage,
# 3 the source cannot be used, 4 a program is missing, 5 the output is not what it should be.

set -euo pipefail
shopt -s inherit_errexit
export LC_ALL=C # numbers with a point, and bytes are bytes

FFMPEG=${DRAPTO_FFMPEG:-ffmpeg}
FFPROBE=${DRAPTO_FFPROBE:-ffprobe}
# shellcheck disable=SC2034  # detect.sh uses it
MEDIAINFO=${DRAPTO_MEDIAINFO:-mediainfo}
INSTALL='Install it (Debian, Ubuntu): apt-get install ffmpeg mediainfo parallel'

# How a file is opened: it alone, never what it names, and only by demuxers that read pictures and
# sound. drapto/core/opening.py says why; a test holds the two lists together.
FORMATS=matroska,mov,avi,mpegts,mpeg,flv,live_flv,asf,ogg,nut,mxf,gxf,rm,wtv,ivf,dv,dhav,gif,apng,\
yuv4mpegpipe,swf,nsv,roq,bink,smk,flic,pva,dxa,film_cpk,4xm,lmlm4,nuv,vividas,viv,frm,smjpeg,\
amv,ty,pmp,cine,r3d,mods,moflex,lxf,webm,h264,hevc,vvc,mpegvideo,m4v,obu,av1,mjpeg,h261,h263,\
vc1,vc1test,dirac,cavsvideo,avs,avs2,avs3,evc,dnxhd,apv,mp3,wav,w64,flac,aac,ac3,eac3,ac4,dts,\
dtshd,truehd,mlp,aiff,caf,au,ape,wv,tta,amr,mpc,mpc8,tak,dsf,iff,voc,oma,spdif,shn,iamf,rso,\
sox,loas,qcp,xwma,osq,qoa,srt,ass
SAFE=(-protocol_whitelist file -format_whitelist "$FORMATS" -max_pixels 142606336)
# shellcheck disable=SC2034  # mux.sh uses it, for a list of its own making
SAFE_LIST=(-protocol_whitelist file -format_whitelist "concat,matroska" -safe 1)

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

fail() { # fail CODE MESSAGE…
  local code=$1
  shift
  say "$@"
  exit "$code"
}

need() { # need PROGRAM…: exit 4 for the first that is not there
  local program
  for program in "$@"; do
    command -v -- "$program" >/dev/null || fail 4 "$program is not installed. $INSTALL"
  done
}

need_encoder() { # need_encoder NAME: exit 4 if this ffmpeg has no such encoder
  local encoders
  need "$FFMPEG"
  encoders=$("$FFMPEG" -hide_banner -v error -encoders)
  [[ $encoders == *" $1 "* ]] || fail 4 "$FFMPEG has no encoder $1. Name another in DRAPTO_FFMPEG."
}

need_set() { # need_set VARIABLE…: exit 2 for the first that is empty
  local name
  for name in "$@"; do
    [[ -n ${!name-} ]] || fail 2 "the variable $name is not set; see docs/legacy-contract.md"
  done
}

# make_absolute VARIABLE…: a path that no program takes for an option, and that holds after a cd.
# Nothing is captured: $(…) would take the line breaks from the end of a name.
make_absolute() {
  local name
  for name in "$@"; do
    [[ ${!name} == /* ]] || printf -v "$name" %s "$PWD/${!name}"
  done
}

readable() { # readable FILE: exit 3 if it is not
  [[ -f $1 && -r $1 ]] || fail 3 "the file $1 does not exist or cannot be read"
}

ffmpeg_quiet() { "$FFMPEG" -nostdin -hide_banner -v error -y "$@" </dev/null; }

first_line() { awk 'NR == 1'; } # unlike head it reads on, so nobody writes into a closed pipe

# stream_value FILE STREAM ENTRY: what ffprobe says about one stream, or nothing.
stream_value() {
  "$FFPROBE" -v error -select_streams "$2" -show_entries "stream=$3" \
    -of default=noprint_wrappers=1:nokey=1 "${SAFE[@]}" -i "file:$1" | first_line
}

container_value() { # container_value FILE ENTRY, such as duration
  "$FFPROBE" -v error -show_entries "format=$2" \
    -of default=noprint_wrappers=1:nokey=1 "${SAFE[@]}" -i "file:$1" | first_line
}

# count_frames FILE STREAM: by packets, which is quick; edit lists hide packets with a D flag.
count_frames() {
  "$FFPROBE" -v error -select_streams "$2" -show_entries packet=flags -of csv=p=0 \
    "${SAFE[@]}" -i "file:$1" | awk '/D/ { next } { n++ } END { print n + 0 }'
}

decode_and_count() { # decode_and_count FILE STREAM: slower, and what a player will show
  "$FFPROBE" -v error -count_frames -select_streams "$2" -show_entries stream=nb_read_frames \
    -of default=noprint_wrappers=1:nokey=1 "${SAFE[@]}" -i "file:$1" | first_line
}

# streams_of FILE: a line 'INDEX|KIND|CODEC|CHANNELS|LAYOUT|COVER' for each stream. ffprobe lists
# those of a transport stream twice, by program too.
streams_of() {
  "$FFPROBE" -v error -of default=noprint_wrappers=1 -show_entries \
    stream=index,codec_name,codec_type,channels,channel_layout:stream_disposition=attached_pic \
    "${SAFE[@]}" -i "file:$1" | awk -F= '
      function flush() {
        if (id != "" && !seen[id]++) {
          print id "|" kind "|" codec "|" channels "|" layout "|" cover
        }
        codec = "unknown"; kind = channels = layout = ""; cover = 0
      }
      $1 == "index" { flush(); id = $2 }
      $1 == "codec_name" { codec = $2 }
      $1 == "codec_type" { kind = $2 }
      $1 == "channels" { channels = $2 }
      $1 == "channel_layout" { layout = $2 == "unknown" ? "" : $2 }
      $1 == "DISPOSITION:attached_pic" { cover = $2 }
      END { flush() }'
}

first_video() { # first_video FILE: index of the first video stream that is no cover picture
  streams_of "$1" | awk -F'|' '$2 == "video" && $6 != 1 { print $1 }' | first_line
}

json_string() { # json_string TEXT: quoted and escaped
  local text=$1 out='' char i
  for ((i = 0; i < ${#text}; i++)); do
    char=${text:i:1}
    case $char in
      '"' | \\) out+=\\$char ;;
      [[:cntrl:]]) printf -v char '\\u%04x' "'$char"; out+=$char ;;
      *) out+=$char ;;
    esac
  done
  printf '"%s"' "$out"
}

json_or_null() { # json_or_null TEXT: null for nothing, and for ffprobe's words for nothing
  case $1 in
    '' | unknown | unspecified | reserved | N/A) printf null ;;
    *) json_string "$1" ;;
  esac
}

# json_get FILE KEY: a value of the JSON that these scripts print, which has one key a line.
json_get() {
  sed -n "s/^ *\"$2\": \(.*[^,]\),\{0,1\}\$/\1/p" <"$1" | first_line |
    sed -e 's/^null$//' -e 's/^"\(.*\)"$/\1/'
}
