{{- define "shuffle-daemon.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "shuffle-daemon.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "shuffle-daemon.labels" -}}
{{ include "shuffle-daemon.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "shuffle-daemon.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "shuffle-daemon.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "shuffle-daemon.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}

{{- /* Where the node's directories are, here as there. */ -}}
{{- define "shuffle-daemon.diskMounts" -}}
{{- range $number, $disk := .Values.disks -}}
- {name: disk-{{ $number }}, mountPath: {{ $disk.path }}}
{{ end -}}
- {name: state, mountPath: {{ .Values.stateDir }}}
{{- end -}}

{{- /* A value as text. Helm reads numbers of files as floating point, and would write 1000000 as 1e+06. */ -}}
{{- define "shuffle-daemon.text" -}}
{{- if and (kindIs "float64" .) (eq (float64 (int64 .)) .) -}}{{ int64 . }}{{- else -}}{{ . }}{{- end -}}
{{- end -}}
