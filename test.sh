#!/usr/bin/env bash
# The one gate. From a fresh clone it makes its own environment in .venv, then checks everything.
#
#   bash test.sh                     every step, quick tests
#   bash test.sh format lint types   only these steps
#   bash test.sh --all               slow tests as well
#   bash test.sh --system-packages   first install the Debian packages that some tests need
#   bash test.sh --list              name the steps
#
# PYTHON chooses the interpreter (default: python3, 3.11 or newer). Nothing is installed outside
# .venv unless --system-packages is given; nothing is fetched once .venv is there.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

readonly STEPS=(format lint types layers schemas tests)
readonly VENV="$PWD/.venv"
export PATH="$VENV/bin:$PATH" PIP_DISABLE_PIP_VERSION_CHECK=1
# Sums must not depend on threads; and two workers on two cores need no more.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
unset PYTHONPATH PYTHONHOME

skipped=() failed=() slow=no

say() { printf '\n== %s\n' "$*"; }

stamp() {
  {
    echo "$PWD"
    "${PYTHON:-python3}" -VV
    cat constraints.txt tests/requirements.txt all.txt pyproject.toml contracts/pyproject.toml \
      plugins/*/pyproject.toml
  } | sha256sum | cut -d' ' -f1
}

environment() {
  local wanted
  wanted="$(stamp)"
  if [[ -f "$VENV/.stamp" && "$(<"$VENV/.stamp")" == "$wanted" ]]; then
    return
  fi
  say "environment: .venv"
  "${PYTHON:-python3}" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "test.sh needs Python 3.11 or newer; set PYTHON to one." >&2
    exit 2
  }
  "${PYTHON:-python3}" -m venv --clear "$VENV"
  python -m pip install --quiet --constraint constraints.txt --requirement tests/requirements.txt
  # All local distributions in one command: pip must never look for one of them on an index.
  local editable=()
  while read -r path; do editable+=(--editable "$path"); done < <(grep '^\.' all.txt)
  python -m pip install --quiet --constraint constraints.txt --no-build-isolation "${editable[@]}"
  echo "$wanted" >"$VENV/.stamp"
}

system_packages() {
  command -v chromium >/dev/null && return
  say "system packages: chromium"
  local sudo=()
  [[ $EUID -eq 0 ]] || sudo=(sudo -n)
  if ! { "${sudo[@]}" apt-get update -qq && DEBIAN_FRONTEND=noninteractive "${sudo[@]}" \
    apt-get install -qq -y --no-install-recommends chromium; } >/dev/null 2>"$VENV/apt.log"; then
    tail -n 3 "$VENV/apt.log"
    skipped+=("system package chromium: apt-get could not install it, so its test is skipped")
  fi
}

step_format() { ruff format --check --quiet . || { ruff format --diff --quiet . | head -n 60; return 1; }; }
step_lint() { ruff check --quiet . && python -m tests.tidy.sizes; }
step_types() { mypy contracts/covenue_contracts core/covenue plugins/*/covenue_* tests benchmarks; }
step_layers() { lint-imports --no-logo; }
step_schemas() {
  python -m covenue_contracts.export --check && python -m covenue.testing.manifests --check
}
step_tests() {
  local chosen="not slow"
  if [[ $slow == yes ]]; then chosen=""; else skipped+=("slow tests: run with --all"); fi
  pytest -q -n 2 --dist loadfile -m "$chosen" tests
}

run() {
  local begun=$SECONDS
  say "$1"
  if "step_$1"; then echo "ok, $((SECONDS - begun)) s"; else failed+=("$1"); fi
}

main() {
  local chosen=() system=no
  while (($#)); do
    case "$1" in
      --all) slow=yes ;;
      --system-packages) system=yes ;;
      --list) printf '%s\n' "${STEPS[@]}"; exit 0 ;;
      -h | --help) sed -n '2,12s/^# \{0,1\}//p' test.sh; exit 0 ;;
      *)
        if [[ " ${STEPS[*]} " != *" $1 "* ]]; then
          echo "test.sh: no step or option '$1'; steps: ${STEPS[*]}" >&2
          exit 2
        fi
        chosen+=("$1")
        ;;
    esac
    shift
  done
  environment
  if [[ $system == yes ]]; then system_packages; fi
  ((${#chosen[@]})) || chosen=("${STEPS[@]}")
  for name in "${STEPS[@]}"; do
    if [[ " ${chosen[*]} " == *" $name "* ]]; then run "$name"; else skipped+=("step $name: not asked for"); fi
  done
  ((${#skipped[@]})) && printf '\nskipped: %s' "${skipped[@]}" && echo
  if ((${#failed[@]})); then
    printf '\nFAILED: %s\n' "${failed[*]}"
    exit 1
  fi
  printf '\nall green in %s s\n' "$SECONDS"
}

main "$@"
