{{/* The network policies, with the values applied. */}}
{{- define "stockward.policies" -}}
{{- $values := .Values.networkPolicies }}
{{- $policies := list }}
{{- range $policy := include "stockward.manifests" (dict "root" . "file" "network") | fromJsonArray }}
{{- $name := $policy.metadata.name }}
{{- if eq $name "monitoring" }}
  {{- if $values.monitoring }}
    {{- $namespace := dict "kubernetes.io/metadata.name" $values.monitoring }}
    {{- $_ := set (first $policy.spec.ingress) "from" (list (dict "namespaceSelector" (dict "matchLabels" $namespace))) }}
    {{- $policies = append $policies $policy }}
  {{- end }}
{{- else }}
  {{- if has $name (list "to-database" "to-queue") }}
    {{- $target := ternary $values.database $values.queue (eq $name "to-database") }}
    {{- $rule := first $policy.spec.egress }}
    {{- $_ := set $rule "ports" (list (dict "port" $target.port)) }}
    {{- with $target.networks }}{{ $_ := set $rule "to" (include "stockward.networks" . | fromJsonArray) }}{{ end }}
  {{- else if eq $name "to-receivers" }}
    {{- $rule := first $policy.spec.egress }}
    {{- $_ := set $rule "to" (concat $rule.to (include "stockward.networks" $values.receivers | fromJsonArray)) }}
  {{- else if and (eq $name "everybody-to-edge") $values.callers }}
    {{- $_ := set $policy.metadata "name" "callers-to-edge" }}
    {{- $from := list }}
    {{- range $values.callers }}
      {{- $from = append $from (dict "namespaceSelector" (dict "matchLabels" (dict "kubernetes.io/metadata.name" .))) }}
    {{- end }}
    {{- $_ := set (first $policy.spec.ingress) "from" $from }}
  {{- end }}
  {{- $policies = append $policies $policy }}
{{- end }}
{{- end }}
{{- with $values.furtherEgress }}
  {{- $processes := dict "key" "app.kubernetes.io/name" "operator" "In" "values" (list "server" "relay" "gateway") }}
  {{- $policies = append $policies (dict
    "apiVersion" "networking.k8s.io/v1"
    "kind" "NetworkPolicy"
    "metadata" (dict "name" "further-egress")
    "spec" (dict
      "podSelector" (dict "matchExpressions" (list $processes))
      "policyTypes" (list "Egress")
      "egress" .)) }}
{{- end }}
{{- toJson $policies }}
{{- end }}

{{/* Networks as peers of a policy. */}}
{{- define "stockward.networks" -}}
{{- $peers := list }}
{{- range . }}{{ $peers = append $peers (dict "ipBlock" (dict "cidr" .)) }}{{ end }}
{{- toJson $peers }}
{{- end }}
