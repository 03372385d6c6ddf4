{{/* The manifests of deploy/kubernetes as a list; call it with (dict "root" $ "file" "server"). */}}
{{- define "stockward.manifests" -}}
{{- $text := .root.Files.Get (printf "kubernetes/%s.yaml" .file) | required (printf "kubernetes/%s.yaml is missing" .file) }}
{{- $manifests := list }}
{{- range splitList "\n---\n" $text }}
{{- $manifests = append $manifests (fromYaml .) }}
{{- end }}
{{- toJson $manifests }}
{{- end }}

{{/* Adds our labels to a manifest, in place. */}}
{{- define "stockward.label" -}}
{{- $labels := dict
  "app.kubernetes.io/part-of" "stockward"
  "app.kubernetes.io/managed-by" .root.Release.Service
  "app.kubernetes.io/instance" .root.Release.Name
  "app.kubernetes.io/version" .root.Chart.AppVersion
  "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version) }}
{{- $_ := set .manifest.metadata "labels" (merge $labels (.manifest.metadata.labels | default dict)) }}
{{- end }}

{{/* Makes a manifest a hook that runs before a release is installed or upgraded, in place. Lower weights come first. */}}
{{- define "stockward.hook" -}}
{{- $_ := set .manifest.metadata "annotations" (dict
  "helm.sh/hook" "pre-install,pre-upgrade"
  "helm.sh/hook-weight" .weight
  "helm.sh/hook-delete-policy" .delete) }}
{{- end }}

{{- define "stockward.image" -}}
{{- with .Values.image }}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{/* The ConfigMap's data: those of the manifest, and over them the operator's. */}}
{{- define "stockward.settings" -}}
{{- range include "stockward.manifests" (dict "root" . "file" "configuration") | fromJsonArray }}
{{- if eq .kind "ConfigMap" }}{{ mergeOverwrite .data $.Values.settings | toJson }}{{ end }}
{{- end }}
{{- end }}

{{/* Seconds that a pod is given to stop: what the manifest says, or more where the settings ask for it. */}}
{{- define "stockward.grace" -}}
{{- $settings := include "stockward.settings" .root | fromJson }}
{{- $notice := $settings.STOCKWARD_SHUTDOWN_NOTICE_SECONDS | float64 }}
{{- $grace := $settings.STOCKWARD_SHUTDOWN_GRACE_SECONDS | float64 }}
{{- max (.least | int) (addf $notice $grace 7 | ceil | int) }}
{{- end }}

{{/* Applies values to a Deployment or Job, in place; call it with (dict "root" $ "manifest" . "name" "server"). */}}
{{- define "stockward.workload" -}}
{{- $name := .name }}
{{- $values := index .root.Values $name }}
{{- $template := .manifest.spec.template }}
{{- $pod := $template.spec }}
{{- $image := include "stockward.image" .root }}
{{- range concat ($pod.initContainers | default list) $pod.containers }}
  {{- $_ := set . "image" $image }}
  {{- $_ := set . "imagePullPolicy" $.root.Values.image.pullPolicy }}
  {{- range .envFrom }}
    {{- with .secretRef }}{{ $_ := set . "name" (index $.root.Values.secrets $name) }}{{ end }}
  {{- end }}
{{- end }}
{{- $main := first $pod.containers }}
{{- $_ := mergeOverwrite $main.resources (deepCopy $values.resources) }}
{{- range $kind, $times := $values.probes }}
  {{- $probe := index $main (printf "%sProbe" $kind) | required (printf "%s.probes: %s has no %s probe" $name $name $kind) }}
  {{- $_ := mergeOverwrite $probe $times }}
{{- end }}
{{- range $pod.volumes }}
  {{- with .configMap }}{{ $_ := set . "name" $.root.Values.databaseRoots }}{{ end }}
{{- end }}
{{- with .root.Values.image.pullSecrets }}
  {{- $secrets := list }}
  {{- range . }}{{ $secrets = append $secrets (dict "name" .) }}{{ end }}
  {{- $_ := set $pod "imagePullSecrets" $secrets }}
{{- end }}
{{- range $key, $value := omit $values.pod "annotations" "labels" }}
  {{- $_ := set $pod $key $value }}
{{- end }}
{{- $annotations := deepCopy ($values.pod.annotations | default dict) }}
{{- if eq .manifest.kind "Deployment" }}
  {{- $_ := set $annotations "checksum/settings" (include "stockward.settings" .root | sha256sum) }}
  {{- if ne $name "edge" }}
    {{- $grace := include "stockward.grace" (dict "root" .root "least" $pod.terminationGracePeriodSeconds) }}
    {{- $_ := set $pod "terminationGracePeriodSeconds" ($grace | int) }}
  {{- end }}
  {{- if not (kindIs "map" $values.replicas) }}{{ $_ := set .manifest.spec "replicas" $values.replicas }}{{ end }}
{{- end }}
{{- with $annotations }}{{ $_ := set $template.metadata "annotations" . }}{{ end }}
{{- $_ := set $template.metadata "labels" (merge $template.metadata.labels ($values.pod.labels | default dict)) }}
{{- end }}
