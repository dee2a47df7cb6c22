#!/bin/sh
# Makes .venv in the checkout and installs llmchat into it, saying what takes so long. `make` calls it.
#
# Reads PYTHON (the interpreter), LLMCHAT_BUILD (cpu, cuda, metal, vulkan, rocm; otherwise what is found here) and
# CMAKE_ARGS (added to what llama.cpp is built with). Everything pip says goes to .venv/install.log.
set -eu

venv=.venv
log=$venv/install.log
marker=$venv/.accelerator
started=$(date +%s)

say() { printf 'llmchat setup: %s\n' "$*"; }
fail() { printf 'llmchat setup: error: %s\n' "$1" >&2; printf 'hint: %s\n' "$2" >&2; exit 1; }
elapsed() { echo $(($(date +%s) - started)); }
cores() { getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2; }

# A version manager's shim can exist and fail when run, and Debian's python3 can come without venv: so each is tried.
find_python() {
    probe='import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'
    for candidate in ${PYTHON:-python3.11 python3.12 python3.13 python3}; do
        if "$candidate" -c "$probe" >/dev/null 2>&1; then echo "$candidate"; return; fi
    done
    fail "no usable Python among: ${PYTHON:-python3.11 python3.12 python3.13 python3} (3.11, 3.12 or 3.13 with venv)" \
        "install one (apt install python3-venv; brew install python@3.13) or name it: make chat PYTHON=/path/to/python3.13"
}

find_accelerator() {
    if [ "$(uname -s)" = Darwin ]; then
        if [ "$(uname -m)" = arm64 ] && xcode-select -p >/dev/null 2>&1; then echo metal; else echo cpu; fi
    elif ! command -v nvcc >/dev/null 2>&1; then
        echo cpu
    elif nvidia-smi -L >/dev/null 2>&1; then
        echo cuda
    else
        say "nvcc is here, but no NVIDIA GPU is visible (nvidia-smi fails): building for the CPU" >&2
        say "to build for CUDA all the same: make chat LLMCHAT_BUILD=cuda" >&2
        echo cpu
    fi
}

# The same flags as in tui/llmchat_tui/cli/install_hint.py; a test compares the two.
cmake_flags() {
    case $1 in
        cpu) echo "-DGGML_METAL=off" ;;
        cuda) echo "-DGGML_CUDA=on" ;;
        metal) echo "-DGGML_METAL=on" ;;
        vulkan) echo "-DGGML_VULKAN=on" ;;
        rocm) echo "-DGGML_HIP=on" ;;
        *) fail "LLMCHAT_BUILD=$1 is unknown" "use cpu, cuda, metal, vulkan or rocm" ;;
    esac
}

# Runs pip in the foreground, so that Ctrl-C reaches the compilers too; a ticker beside it shows that it lives.
pip_install() {
    what=$1; shift
    (while sleep 15 >/dev/null 2>&1; do say "$what … $(elapsed) s"; done) &
    ticker=$!
    status=0
    "$venv/bin/python" -m pip install --disable-pip-version-check --no-input "$@" >>"$log" 2>&1 </dev/null || status=$?
    kill "$ticker" 2>/dev/null || true
    wait "$ticker" 2>/dev/null || true
    ticker=
    [ "$status" -eq 0 ] || { echo "--- the last lines of $log:" >&2; tail -n 30 "$log" >&2; }
    return "$status"
}

make_venv() {
    if "$venv/bin/python" -c '' 2>/dev/null; then return; fi
    python=$(find_python)
    say "making $venv with $("$python" --version)"
    "$python" -m venv --clear "$venv"
}

llama_version() {
    "$venv/bin/python" -c 'import importlib.metadata as m; print(m.version("llama-cpp-python"))' 2>/dev/null || true
}

install_llama() {
    built=$(cat "$marker" 2>/dev/null || echo cpu)
    wanted=$(sed -n 's/^llama_cpp_python==//p' constraints.txt)
    if [ "$built" = "$accelerator" ] && [ "$(llama_version)" = "$wanted" ]; then
        echo "$accelerator" >"$marker"
        return
    fi
    set -- -c constraints.txt llama-cpp-python
    # pip's cache knows neither the accelerator nor its flags: only CPU builds may come from it or go into it.
    [ "$accelerator" = cpu ] || set -- --no-cache-dir --no-binary llama-cpp-python "$@"
    [ "$built" = "$accelerator" ] || set -- --force-reinstall --no-deps "$@"
    say "compiling llama.cpp for $accelerator ($flags) on $(cores) cores, once"
    say "on 4 cores that takes 2 to 6 minutes for the CPU, and longer for a GPU"
    say "the full log: $log"
    export CMAKE_ARGS="$flags ${CMAKE_ARGS:-}" CMAKE_BUILD_PARALLEL_LEVEL="${CMAKE_BUILD_PARALLEL_LEVEL:-$(cores)}"
    pip_install "compiling llama.cpp" "$@" || fail "llama.cpp could not be built for $accelerator" "$(build_hint)"
    echo "$accelerator" >"$marker"
}

build_hint() {
    if command -v "${CXX:-c++}" >/dev/null 2>&1; then
        echo "the log names the cause; a build for the CPU alone needs least: make chat LLMCHAT_BUILD=cpu"
    else
        echo "no C++ compiler was found: apt install build-essential, dnf install gcc-c++, or xcode-select --install"
    fi
}

install_rest() {
    say "installing llmchat and its libraries"
    pip_install "installing" -c constraints.txt -e '.[rag,offline]' --group dev \
        || fail "the libraries could not be installed" "check the network and run the same command again"
}

ticker=
trap '[ -z "$ticker" ] || kill "$ticker" 2>/dev/null || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

accelerator=${LLMCHAT_BUILD:-$(cat "$marker" 2>/dev/null || find_accelerator)}
flags=$(cmake_flags "$accelerator")
make_venv
: >"$log"
pip_install "updating pip" 'pip>=25.1' || fail "pip could not be updated" "check the network and run the same command again"
install_llama
install_rest
say "ready after $(elapsed) s"
