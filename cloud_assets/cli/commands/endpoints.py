"""`endpoint` and `ask`: what is behind each stable address, and talking to it."""

from cloud_assets.cli import output
from cloud_assets.settings import Settings
from cloud_assets.settings_file import load_settings
from resources.errors import ExternalError
from resources.gateway import routes as gateway_routes


def endpoint(*, as_json: bool) -> None:
    settings = load_settings()
    output.records(("model", "checkpoint", "digest", "url"), rows(settings), as_json=as_json)


def rows(settings: Settings) -> list[dict[str, str]]:
    """What each endpoint serves; the URL is the stable one, not the model server's."""
    table = gateway_routes.read(settings.home / "gateway" / "routes.json")
    return [
        {
            "model": model,
            "checkpoint": entry.route.key,
            "digest": entry.route.digest[:16],
            "url": f"{settings.gateway_url}/v1",
        }
        for model, entry in sorted(table.items())
    ]


def ask(model: str, prompt: str, *, max_tokens: int, plain: bool) -> None:
    """As one message of a chat, or with `plain` as the beginning of a text to go on with."""
    from resources.openai.client import OpenAIClient

    question = prompt if plain else [{"role": "user", "content": prompt}]
    try:
        with OpenAIClient(load_settings().gateway_url) as client:
            for piece in client.stream(model, question, max_tokens=max_tokens):
                output.piece(piece)
    except ExternalError as error:
        error.hint = (
            error.hint or "`ai-how status` says what runs, `ai-how endpoint` what is served"
        )
        raise
    output.line("")
