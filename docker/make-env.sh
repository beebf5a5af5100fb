#!/bin/sh
# Creates .env with new secrets, from .env.example. Needs a POSIX shell and openssl, and no installed Dust.
#
#   docker/make-env.sh [FILE]
#
# An existing file is never changed.
set -eu
umask 077
cd "$(dirname "$0")/.."
file=${1:-.env}

token() { openssl rand -hex 32; }
webhook_secret() { printf 'whsec_%s' "$(openssl rand -base64 32)"; }

secret() {
    case $1 in
        DUST_WEBHOOK_SECRETS | DUST_OUTGOING_WEBHOOK_SECRET) webhook_secret ;;
        DUST_FLOWER_BASIC_AUTH) printf 'operator:%s' "$(openssl rand -hex 16)" ;;
        POSTGRES_PASSWORD | POSTGRES_DUST_PASSWORD | POSTGRES_DUST_SERVE_PASSWORD | REDIS_PASSWORD) token ;;
        DUST_ADMIN_TOKEN | DUST_FLOWER_COOKIE_SECRET) token ;;
    esac
}

if [ -e "$file" ]; then
    echo "$file exists, and was not changed." >&2
    exit 1
fi
command -v openssl >/dev/null || { echo "openssl is needed to make secrets." >&2; exit 1; }

new=$(mktemp "$file.XXXXXX")
trap 'rm -f "$new"' EXIT
while IFS= read -r line; do
    case $line in
        *=) printf '%s%s\n' "$line" "$(secret "${line%=}")" ;;
        *) printf '%s\n' "$line" ;;
    esac
done <.env.example >"$new"
# Unlike a rename, a link fails where another run was faster.
ln "$new" "$file"

cat <<TEXT
$file was made with new secrets. Keep a copy in a safe place.

Still to fill in:
  DUST_MEDUSA_URL               where the containers reach Medusa
  DUST_MEDUSA_API_KEY           a secret API key of Medusa, sk_...
  DUST_MEDUSA_PUBLISHABLE_KEY   the storefront's key, pk_...
  DUST_JWT_PUBLIC_KEY           Medusa's public key, or its jwtSecret as DUST_JWT_SECRET

Medusa's plugin needs the value of DUST_WEBHOOK_SECRETS.
TEXT
