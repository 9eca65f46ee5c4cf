{{- define "metricat.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" }}{{ end -}}
{{- end }}

{{- define "metricat.selector" -}}
app.kubernetes.io/name: metricat-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "metricat.labels" -}}
{{ include "metricat.selector" . }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: metricat
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "metricat.image" -}}
{{ .image.repository }}:{{ .image.tag | default .root.Chart.AppVersion }}
{{- end }}

{{- define "metricat.pullSecrets" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* These two meet the Pod Security level "restricted". */ -}}
{{- define "metricat.podSecurityContext" -}}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
{{- end }}

{{- define "metricat.containerSecurityContext" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end }}

{{- /* operator.prometheusQueries, with its deprecated name operator.askPrometheus: either of them can disable queries. */ -}}
{{- define "metricat.prometheusQueries" -}}
{{- $new := .Values.operator.prometheusQueries }}
{{- $old := .Values.operator.askPrometheus | default dict }}
{{- if and $old.namespaces $new.namespaces (ne (toJson $old.namespaces) (toJson $new.namespaces)) }}
{{- fail "operator.askPrometheus.namespaces and operator.prometheusQueries.namespaces differ. Remove operator.askPrometheus: it is deprecated." }}
{{- end }}
enabled: {{ and $new.enabled (ne (get $old "enabled" | toString) "false") }}
namespaces: {{ $old.namespaces | default $new.namespaces | toJson }}
{{- end }}

{{- /*
Operators of other releases that watch a namespace of this one, as a JSON list of NAMESPACE/NAME. Each has a LeaderFence. An
uninstalled one has no Deployment. Empty without access to a cluster (helm template).
*/ -}}
{{- define "metricat.otherOperators" -}}
{{- $found := list }}
{{- if .Capabilities.APIVersions.Has "metricat.dev/v1alpha1/LeaderFence" }}
{{- range (lookup "metricat.dev/v1alpha1" "LeaderFence" "" "").items }}
{{- $namespace := .metadata.namespace }}
{{- $name := .metadata.name }}
{{- $deployment := lookup "apps/v1" "Deployment" $namespace $name }}
{{- if and $deployment (ne (printf "%s/%s" $namespace $name) (printf "%s/%s" $.Release.Namespace (include "metricat.name" $))) }}
{{- $watched := list }}
{{- range $deployment.spec.template.spec.containers }}
{{- range .env }}
{{- if eq .name "METRICAT_NAMESPACES" }}
{{- $watched = splitList "," .value }}
{{- end }}
{{- end }}
{{- end }}
{{- $shared := or (not $watched) (not $.Values.operator.namespaces) }}
{{- range $.Values.operator.namespaces }}
{{- $shared = or $shared (has . $watched) }}
{{- end }}
{{- if $shared }}
{{- $found = append $found (printf "%s/%s" $namespace $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{- define "metricat.hub.name" -}}
{{ include "metricat.name" . }}-hub
{{- end }}

{{- define "metricat.hub.selector" -}}
app.kubernetes.io/name: metricat-hub
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "metricat.hub.labels" -}}
{{ include "metricat.hub.selector" . }}
app.kubernetes.io/component: hub
app.kubernetes.io/part-of: metricat
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "metricat.hub.metadata" -}}
metadata:
  name: {{ include "metricat.hub.name" . }}
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "metricat.hub.labels" . | nindent 4 }}
{{- end }}

{{- define "metricat.hub.scheme" -}}
{{ if .Values.hub.web.tlsSecretName }}https{{ else }}http{{ end }}
{{- end }}

{{- /* The settings that need a file: the web config file, and `hub.settings`. */ -}}
{{- define "metricat.hub.files" -}}
{{- if .Values.hub.web.tlsSecretName }}
web.yaml: |
  tls_server_config: {cert_file: /tls/tls.crt, key_file: /tls/tls.key}
{{- end }}
{{- with .Values.hub.settings }}
hub.yaml: |
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* The port of the Prometheus that the hub queries. The Prometheus Operator's port is always 9090. */ -}}
{{- define "metricat.hub.prometheusPort" -}}
{{- $url := .Values.hub.prometheus.url }}
{{- $host := (urlParse $url).host }}
{{- if not $url }}9090{{ else if regexMatch ":[0-9]+$" $host }}{{ regexFind "[0-9]+$" $host }}{{ else if hasPrefix "https:" $url }}443{{ else }}80{{ end }}
{{- end }}
