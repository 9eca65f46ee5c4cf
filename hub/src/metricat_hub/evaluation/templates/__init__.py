"""Templates of labels and annotations, in the subset of Go's text/template that alerting rules use."""

from metricat_hub.evaluation.templates.errors import TemplateError
from metricat_hub.evaluation.templates.functions import QueryResult, TemplateData
from metricat_hub.evaluation.templates.template import Template

__all__ = ["QueryResult", "Template", "TemplateData", "TemplateError"]
