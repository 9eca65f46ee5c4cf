{{- define "metricat.name" -}}
{{- $chart := .Values.nameOverride | default .Chart.Name }}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride }}
{{- else if contains $chart .Release.Name }}{{ .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name $chart | trunc 40 | trimSuffix "-" }}
{{- end -}}
{{- end }}

{{- define "metricat.selector" -}}
app.kubernetes.io/name: metricat-operator
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "metricat.labels" -}}
{{ include "metricat.selector" . }}
app.kubernetes.io/component: operator
{{ include "metricat.commonLabels" . }}
{{- end }}

{{- /* The labels of every object. */ -}}
{{- define "metricat.commonLabels" -}}
app.kubernetes.io/part-of: metricat
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* The reference of an image. global.imageRegistry replaces the registry of the repository. A digest replaces the tag. */ -}}
{{- define "metricat.image" -}}
{{- $repository := .image.repository }}
{{- with .root.Values.global.imageRegistry }}
{{- $first := splitList "/" $repository | first }}
{{- if and (contains "/" $repository) (or (contains "." $first) (contains ":" $first) (eq $first "localhost")) }}
{{- $repository = trimPrefix (printf "%s/" $first) $repository }}
{{- end }}
{{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository }}
{{- end }}
{{- if .image.digest }}{{ $repository }}@{{ .image.digest }}{{ else }}{{ $repository }}:{{ .image.tag | default .root.Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* The names of the image pull secrets, as a JSON list. */ -}}
{{- define "metricat.pullSecretNames" -}}
{{- $names := list }}
{{- range concat .Values.imagePullSecrets (.Values.global.imagePullSecrets | default list) }}
{{- $names = append $names (kindIs "map" . | ternary (get (kindIs "map" . | ternary . dict) "name") .) }}
{{- end }}
{{- $names | uniq | toJson }}
{{- end }}

{{- define "metricat.pullSecrets" -}}
{{- with include "metricat.pullSecretNames" . | fromJsonArray }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{- /* The security context of a pod. OpenShift chooses the user and the groups. */ -}}
{{- define "metricat.podSecurityContext" -}}
{{- with .root.Values.openshift.enabled | ternary (omit .context "runAsUser" "runAsGroup" "fsGroup") .context }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "metricat.securityContext" -}}
{{- with . }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* The ServiceAccount of the operator or the hub. */ -}}
{{- define "metricat.serviceAccountName" -}}
{{- if not (or .account.create .account.name) }}
{{- fail (printf "%s.serviceAccount: create is false and name is empty, so the account `default` would get the permissions, with every pod that uses it. Set %s.serviceAccount.name." .of .of) }}
{{- end }}
{{- .account.name | default .default }}
{{- end }}

{{- define "metricat.operator.serviceAccountName" -}}
{{ include "metricat.serviceAccountName" (dict "of" "operator" "account" .Values.operator.serviceAccount "default" (include "metricat.name" .)) }}
{{- end }}

{{- define "metricat.hub.serviceAccountName" -}}
{{ include "metricat.serviceAccountName" (dict "of" "hub" "account" .Values.hub.serviceAccount "default" (include "metricat.hub.name" .)) }}
{{- end }}

{{- /* Egress that every pod needs: DNS, and the API server. Many network plugins see its own port instead of the Service's. */ -}}
{{- define "metricat.egress" -}}
# DNS
- ports: [{protocol: UDP, port: 53}, {protocol: TCP, port: 53}]
{{- with .apiServerPorts }}
# The API server
- ports:
    {{- range . }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}
{{- end }}

{{- /* The nodes on which the pods of the operator or the hub may run. */ -}}
{{- define "metricat.scheduling" -}}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
{{- if .values.topologySpreadConstraints }}
  {{- toYaml .values.topologySpreadConstraints | nindent 2 }}
{{- else }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- .selector | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* The settings of a ServiceMonitor's endpoint, except port and scheme. */ -}}
{{- define "metricat.endpoint" -}}
{{- with .interval }}
interval: {{ . }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- with .relabelings }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .tokenSecret.name }}
authorization:
  credentials: {name: {{ .tokenSecret.name }}, key: {{ .tokenSecret.key }}}
{{- else }}
bearerTokenFile: /var/run/secrets/kubernetes.io/serviceaccount/token
{{- end }}
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

{{- /* The ServiceAccount of a hook for CRDs, its binding, and its ClusterRole without the rules, which follow. */ -}}
{{- define "metricat.crds.account" -}}
{{- $annotations := include "metricat.crds.annotations" (merge (dict "weight" "-5") .) }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "metricat.labels" .root | nindent 4 }}
  {{- $annotations | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{ .name }}
  labels:
    {{- include "metricat.labels" .root | nindent 4 }}
  {{- $annotations | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .name }}
    namespace: {{ .root.Release.Namespace }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ .name }}
  labels:
    {{- include "metricat.labels" .root | nindent 4 }}
  {{- $annotations | nindent 2 }}
{{- end }}

{{- define "metricat.crds.annotations" -}}
annotations:
  helm.sh/hook: {{ .hook }}
  helm.sh/hook-weight: {{ .weight | quote }}
  helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
  {{- with .output }}
  helm.sh/hook-output-log-policy: {{ . }}
  {{- end }}
{{- end }}

{{- /* The Job of a hook for CRDs, up to its container: the volumes follow. */ -}}
{{- define "metricat.crds.job" -}}
{{- $operator := .root.Values.operator }}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "metricat.labels" .root | nindent 4 }}
  {{- include "metricat.crds.annotations" (merge (dict "weight" "0" "output" (.output | default "hook-failed")) .) | nindent 2 }}
spec:
  backoffLimit: 3
  activeDeadlineSeconds: {{ .seconds }}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: metricat-crds
        app.kubernetes.io/instance: {{ .root.Release.Name }}
        {{- with .root.Values.commonLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
        {{- with $operator.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    spec:
      serviceAccountName: {{ .name }}
      restartPolicy: OnFailure
      # The Job fails only after its pods have ended. The program has nothing to finish.
      terminationGracePeriodSeconds: 1
      {{- include "metricat.pullSecrets" .root | trim | nindent 6 }}
      {{- include "metricat.podSecurityContext" (dict "context" $operator.podSecurityContext "root" .root) | trim | nindent 6 }}
      {{- with $operator.nodeSelector }}
      nodeSelector:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- with $operator.tolerations }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      containers:
        - name: {{ first .args }}
          image: {{ include "metricat.image" (dict "image" .root.Values.image.operator "root" .root) }}
          imagePullPolicy: {{ .root.Values.image.operator.pullPolicy | default "IfNotPresent" }}
          args: {{ toJson .args }}
          {{- include "metricat.securityContext" $operator.securityContext | trim | nindent 10 }}
          resources:
            requests: {cpu: 20m, memory: 64Mi}
            limits: {memory: 256Mi}
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
{{ include "metricat.commonLabels" . }}
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

{{- /* The port of a URL; `default` without a URL. The port of the Prometheus Operator's Prometheuses is always 9090. */ -}}
{{- define "metricat.hub.portOf" -}}
{{- $url := .url }}
{{- $host := (urlParse $url).host }}
{{- if not $url }}{{ .default }}{{ else if regexMatch ":[0-9]+$" $host }}{{ regexFind "[0-9]+$" $host }}{{ else if hasPrefix "https:" $url }}443{{ else }}80{{ end }}
{{- end }}
