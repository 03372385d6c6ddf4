{{/* Refuses what a schema cannot: names of settings by their meaning, and numbers that contradict each other. */}}
{{- define "stockward.check" -}}
{{- range $name, $_ := .Values.settings }}
  {{- if or (hasSuffix "_SECRET" $name) (has $name (list "DATABASE_URL" "DATABASE_READ_URL" "EVENT_QUEUE_URL")) }}
    {{- fail (printf "settings.%s is a secret: put it into the Secrets that `secrets` names, of each process that uses it" $name) }}
  {{- end }}
  {{- if regexMatch "^STOCKWARD_(GRPC|SERVER_ADMIN|RELAY_ADMIN|GATEWAY|EDGE)_ADDRESS$" $name }}
    {{- fail (printf "settings.%s: the addresses to listen on are the image's, as probes, services and policies have them" $name) }}
  {{- end }}
{{- end }}
{{- range $name := list "server" "edge" }}
  {{- $replicas := (index $.Values $name).replicas }}
  {{- if gt (int $replicas.min) (int $replicas.max) }}
    {{- fail (printf "%s.replicas: min is %v and max is %v; max may not be less than min" $name $replicas.min $replicas.max) }}
  {{- end }}
{{- end }}
{{- with .Values.edge.ingress }}
  {{- if and .enabled (not .hosts) }}
    {{- fail "edge.ingress is enabled and has no hosts: name them in edge.ingress.hosts" }}
  {{- end }}
{{- end }}
{{- end }}
