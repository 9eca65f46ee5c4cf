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

{{- /* operator.prometheusQueries. Its old name operator.askPrometheus is deprecated; the fields that it sets win. */ -}}
{{- define "metricat.prometheusQueries" -}}
{{- mergeOverwrite (deepCopy .Values.operator.prometheusQueries) (.Values.operator.askPrometheus | default dict) | toYaml }}
{{- end }}
