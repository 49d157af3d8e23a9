"""The texts: documentation strings of botocore's bundled service models, cleaned of HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

OPERATIONS_PER_SERVICE = 6
HIGHLIGHTS_PER_SERVICE = 4
ERRORS_PER_SERVICE = 2
TEXT_LENGTH = 260

SERVICES = """
accessanalyzer acm acm-pca amp amplify apigateway apigatewayv2 appconfig appflow appmesh apprunner
appstream appsync athena auditmanager autoscaling backup batch bedrock bedrock-agent bedrock-runtime
braket budgets ce cleanrooms cloud9 cloudformation cloudfront cloudhsmv2 cloudsearch cloudtrail
cloudwatch codeartifact codebuild codecommit codedeploy codepipeline cognito-identity cognito-idp
comprehend compute-optimizer config connect controltower databrew dataexchange datapipeline datasync
datazone dax deadline detective devicefarm devops-guru directconnect dlm dms docdb ds dynamodb ebs
ec2 ecr ecs efs eks elasticache elasticbeanstalk elbv2 emr emr-serverless entityresolution events
evs finspace firehose fis fms forecast frauddetector fsx gamelift glacier globalaccelerator glue
grafana greengrassv2 groundstation guardduty health healthlake iam identitystore imagebuilder
inspector2 internetmonitor iot iot-data iotfleetwise iotsitewise iottwinmaker iotwireless ivs kafka
kendra keyspaces kinesis kinesisanalyticsv2 kinesisvideo kms lakeformation lambda lexv2-models
license-manager lightsail location logs m2 macie2 managedblockchain mediaconnect mediaconvert
medialive mediapackage mediatailor memorydb mgn mq mwaa neptune network-firewall networkmanager
omics opensearch organizations outposts payment-cryptography pcs personalize pi pinpoint pipes polly
qbusiness quicksight ram rds rds-data redshift rekognition resiliencehub resource-groups
rolesanywhere route53 route53domains route53resolver rum s3 s3control s3tables sagemaker scheduler
secretsmanager securityhub securitylake servicecatalog servicediscovery sesv2 shield signer
snowball sns sqs ssm ssm-incidents sso-admin stepfunctions storagegateway sts support swf synthetics
textract timestream-query transcribe transfer translate verifiedpermissions vpc-lattice wafv2
wellarchitected workmail workspaces xray
""".split()

_INLINE = {"a", "b", "i", "em", "strong", "code", "span", "sup", "sub"}
_HEADINGS = {"fullname", "h1", "h2", "h3", "h4", "h5", "h6"}
# Sentences that stand in hundreds of descriptions and say nothing about the one.
_BOILERPLATE = re.compile(
    r"more information|end of support notice|this is the .* reference|API Reference\b"
    r"|this guide explains|Email Grantee|affects the following|following topics"
    r"|Developer Guide|User Guide|outposts\b.* not supported|not supported (by|for) directory",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_SPACE = re.compile(r"\s+")


@dataclass(frozen=True)
class Operation:
    service: str
    name: str
    method: str
    deprecated: bool
    text: str
    highlight: str | None


@dataclass(frozen=True)
class ErrorEntry:
    service: str
    name: str
    status: int | None
    text: str


@dataclass
class Service:
    name: str
    title: str
    api_version: str
    protocol: str
    text: str
    operations: list[Operation] = field(default_factory=list)
    errors: list[ErrorEntry] = field(default_factory=list)


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._heading = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._heading = self._heading or tag in _HEADINGS
        self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        self._heading = self._heading and tag not in _HEADINGS
        self._break(tag)

    def handle_data(self, data: str) -> None:
        if not self._heading:
            self.parts.append(data)

    def _break(self, tag: str) -> None:
        if tag not in _INLINE:
            self.parts.append(" ")


def clean(documentation: str) -> str:
    """Documentation as one line of plain text."""
    parser = _Text()
    parser.feed(documentation)
    parser.close()
    return _SPACE.sub(" ", "".join(parser.parts)).strip()


def shorten(text: str, length: int = TEXT_LENGTH) -> str:
    """The first telling sentences: whole ones where the first fits, else whole words."""
    sentences = [item for item in _SENTENCE_END.split(text) if not _BOILERPLATE.search(item)]
    sentences = list(dict.fromkeys(sentences))
    text, kept = " ".join(sentences), ""
    for sentence in sentences:
        longer = f"{kept} {sentence}".strip()
        if len(longer) > length:
            break
        kept = longer
    return kept or text[: length - 3].rsplit(" ", 1)[0] + "..."


def load_services() -> list[Service]:
    """The chosen services, each with its best documented operations and errors; no text twice."""
    import botocore.session

    loader = botocore.session.get_session().get_component("data_loader")
    available = set(loader.list_available_services("service-2"))
    seen: set[str] = set()
    services = []
    for name in SERVICES:
        if name in available:
            service = _read(name, loader.load_service_model(name, "service-2"), seen)
            if service:
                services.append(service)
    return services


def _read(name: str, model: dict[str, Any], seen: set[str]) -> Service | None:
    metadata = model["metadata"]
    text = shorten(clean(model.get("documentation", "")))
    if len(text) < 40 or text in seen:
        return None
    seen.add(text)
    service = Service(
        name,
        metadata["serviceFullName"],
        metadata["apiVersion"],
        metadata.get("protocol", "json"),
        text,
    )
    service.operations = _operations(name, model["operations"], seen)
    service.errors = _errors(name, model["shapes"], seen)
    return service


def _operations(service: str, operations: dict[str, Any], seen: set[str]) -> list[Operation]:
    # A long description is the best sign of an operation that people ask about.
    described = [(clean(item.get("documentation", "")), name) for name, item in operations.items()]
    chosen: list[Operation] = []
    for text, name in sorted(described, key=lambda pair: (-len(pair[0]), pair[1])):
        short = shorten(text)
        if len(chosen) == OPERATIONS_PER_SERVICE or len(short) < 60:
            break
        if short in seen:
            continue
        seen.add(short)
        item = operations[name]
        method = item.get("http", {}).get("method", "POST")
        deprecated = bool(item.get("deprecated"))
        highlighted = sum(other.highlight is not None for other in chosen)
        highlight = _pick(text, short, seen) if highlighted < HIGHLIGHTS_PER_SERVICE else None
        chosen.append(Operation(service, name, method, deprecated, short, highlight))
    return sorted(chosen, key=lambda operation: operation.name)


def _pick(text: str, summary: str, seen: set[str]) -> str | None:
    """The most telling sentence that is not in the summary."""
    rest = [
        sentence
        for sentence in _SENTENCE_END.split(text)
        if 70 <= len(sentence) <= 220
        and sentence not in summary
        and sentence not in seen
        and not _BOILERPLATE.search(sentence)
    ]
    if not rest:
        return None
    best = max(rest, key=lambda sentence: (len(set(sentence.lower().split())), sentence))
    seen.add(best)
    return best


def _errors(service: str, shapes: dict[str, Any], seen: set[str]) -> list[ErrorEntry]:
    chosen = []
    for name, shape in sorted(shapes.items()):
        text = shorten(clean(shape.get("documentation", "")), 200)
        if not shape.get("exception") or len(text) < 45 or text in seen:
            continue
        seen.add(text)
        status = shape.get("error", {}).get("httpStatusCode")
        chosen.append(ErrorEntry(service, name, status, text))
    chosen.sort(key=lambda error: (-len(error.text), error.name))
    return sorted(chosen[:ERRORS_PER_SERVICE], key=lambda error: error.name)
