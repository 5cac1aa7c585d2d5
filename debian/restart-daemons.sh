# Restarts the daemons that run and have loaded Ganeti's modules as they were; no
# instance depends on a daemon. The package's own state needs none either: so
# this never fails, and says what to do.
# $1: what a daemon does after the restart
restart_daemons() {
  # /run may be the system's, and its daemons not for what is in here. ischroot
  # takes a service with a /tmp of its own for a chroot, too.
  if [ -e /proc/1/root ] && ! [ / -ef /proc/1/root ]; then
    echo "This is a chroot: no daemon is restarted"
    return 0
  fi

  # Next to a command, of which one may be a script that wraps another
  default=/usr/share/ganeti/default # where Debian's link goes
  modules=$(echo "$PATH:/usr/local/sbin:/usr/sbin:$default" | tr : '\n' |
    while read -r folder; do
      [ ! -e "$folder/gnt-cluster" ] ||
        dirname "$(readlink -f "$folder/gnt-cluster")"
    done | paste -sd:)
  if [ -z "$modules" ]; then
    echo "Ganeti's commands are not found: no daemon is restarted"
    return 0
  fi
  daemon_util=$(PYTHONPATH=$modules python3 -c \
      "from ganeti import pathutils; print(pathutils.DAEMON_UTIL)") || {
    echo "Ganeti does not say where its daemon-util is: no daemon is restarted"
    return 0
  }

  allowed=yes
  if command -v policy-rc.d > /dev/null; then
    policy-rc.d ganeti restart || case $? in
      1|104|105) ;; # as invoke-rc.d has it: unknown, allowed, uncertain
      *) allowed=no ;;
    esac
  fi

  # Without it, the daemon and each QEMU that it starts would stay in the cgroup
  # of whoever called dpkg. KillMode, as Ganeti's own units have it: systemd ends
  # no QEMU, neither when it stops the scope nor when memory runs out in there.
  scope=
  if [ -d /run/systemd/system ]; then
    scope="systemd-run --scope --quiet --slice=system.slice
      --property=KillMode=process"
    $scope true || scope=
  fi

  # QEMU gets the environment of the node daemon.
  path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  clean="env -i PATH=$path"
  for daemon in ganeti-noded ganeti-rapi; do
    restarting=/run/ganeti-virtio-rng.$daemon # there if this was interrupted
    [ -e $restarting ] ||
      $clean "$daemon_util" check $daemon > /dev/null 2>&1 || continue
    if [ $allowed = no ]; then
      echo "$daemon is not restarted, as policy-rc.d forbids it, and still has"
      echo "the old code until '$daemon_util stop $daemon;"
      echo "$daemon_util start $daemon'."
      continue
    fi
    echo "Restarting $daemon, so that it $1"
    touch $restarting || true
    $clean "$daemon_util" stop $daemon || true
    $scope $clean "$daemon_util" start $daemon || true
    rm -f $restarting || true
    # A unit is active before its daemon has looked at anything.
    if [ -n "$scope" ] && systemctl --quiet is-active $daemon.service; then
      sleep 2
    fi
    if ! $clean "$daemon_util" check $daemon > /dev/null 2>&1; then
      # The watcher leaves to systemd what has units.
      case $(systemctl show --property=LoadState ganeti.target 2> /dev/null) in
        *=loaded) echo "$daemon does not run. It is started by" ;;
        *) echo "$daemon does not run. It is started by ganeti-watcher, or" ;;
      esac
      echo "'$daemon_util start $daemon'."
    fi
  done
}
