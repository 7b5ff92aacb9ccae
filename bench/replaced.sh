#!/usr/bin/env bash
# What hydra-hook replaces, in as few processes as it can be done: the event and the filter with jq, the commit with
# psql, and a kept bare clone, without trees, that git fetches into, asks, and pushes from.
#
#   HYDRA_JSON  the event      JQ, PSQL       the programs
#   PGHOST, PGUSER, PGDATABASE  the database
#   URL         of the repository, with its token     CLONE  the folder of the clone
set -euo pipefail

"$JQ" . "$HYDRA_JSON"
read -r build host < <("$JQ" -r '
  select(.event == "buildFinished" and .finished and .buildStatus == 0)
  | select(.project == "dotfiles" and .jobset == "main")
  | "\(.build) \(.job | capture("^nixos-(?<host>[^/]*)\\.").host)"' "$HYDRA_JSON") || exit 0

flake=$("$PSQL" --no-psqlrc --tuples-only --no-align --command "
  select flake from jobsetevals e join jobsetevalmembers m on m.eval = e.id where m.build = $build limit 1")
[[ $flake =~ /([0-9a-f]{40})\? ]]
commit=${BASH_REMATCH[1]}
branch=refs/heads/nixos-tested-$host

if [ ! -d "$CLONE" ]; then
  git clone --quiet --bare --filter=tree:0 "$URL" "$CLONE"
  git -C "$CLONE" config remote.origin.fetch '+refs/heads/*:refs/heads/*'
fi
cd "$CLONE"
git fetch --quiet --all
if git merge-base --is-ancestor "$commit" "$branch"; then
  echo "$branch already contains $commit"
else
  git push --quiet origin "$commit:$branch"
  echo "$branch moved to $commit"
fi
