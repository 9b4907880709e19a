#!/bin/bash
# Runs as root at every start of the notebook instance.
set -e

mkdir -p /opt/slipway
echo '${idle_stop}' | base64 --decode > /opt/slipway/idle_stop.py
%{ if idle_minutes > 0 ~}
echo '*/5 * * * * root /usr/bin/python3 /opt/slipway/idle_stop.py --minutes ${idle_minutes} >> /var/log/slipway-idle-stop.log 2>&1' > /etc/cron.d/slipway-idle-stop
%{ else ~}
rm -f /etc/cron.d/slipway-idle-stop
%{ endif ~}
