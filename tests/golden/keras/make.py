"""Write the golden Keras files: small networks with random weights, and what Keras's ``predict`` says of random films.

Run it in an environment with Keras 3 (``pip install keras tensorflow-cpu``) and in one with TensorFlow 2.15
(``pip install 'tensorflow-cpu==2.15.*'``). Writes ``keras3-NAME.h5`` and ``.npz``, or ``keras2-…``, beside itself.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

MAJOR = int(keras.__version__.split(".")[0])
Model = Any


def randomise(model: Model, seed: int) -> None:
    """Give every weight, batch norm statistics included, a value as training might."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        name = weight.path if MAJOR > 2 else weight.name
        shape = tuple(weight.shape)
        if "variance" in name or "gamma" in name:
            values = random.uniform(0.5, 1.5, shape)
        elif "kernel" in name:
            fan_in = int(np.prod(shape[:2])) if "depthwise" in name else int(np.prod(shape[:-1]))
            values = random.normal(0, 1.4 / np.sqrt(fan_in), shape)
        elif "count" in name or "seed" in name:
            continue
        else:
            values = random.normal(0, 0.2, shape)
        weight.assign(values.astype("float32"))
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()


def norm(x: Any, **given: Any) -> Any:
    return layers.BatchNormalization(**given)(x)


def conv_norm_relu(x: Any, filters: int, name: str, **given: Any) -> Any:
    """Convolution, batch norm and ReLU under names with a slash, as Keras 2's DenseNet has them."""
    name = name.replace("/", "_") if MAJOR > 2 else name
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"{name}_conv", **given)(x)
    return layers.ReLU(name=f"{name}_relu")(norm(x, epsilon=1.001e-5, name=f"{name}_bn"))


def sequential() -> Model:
    return keras.Sequential(
        [
            layers.Input((15, 16, 3)),
            layers.Conv2D(6, 3, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Conv2D(8, (3, 5), strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(scale=False),
            layers.ReLU(),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(7, activation="tanh"),
            layers.Dense(4, activation="softmax"),
        ],
        name="sequential",
    )


def functional() -> Model:
    film = layers.Input((16, 16, 3))
    x = conv_norm_relu(film, 8, "stem/a", strides=2)
    y = conv_norm_relu(x, 8, "block/one")
    x = layers.Add()([x, y])
    z = norm(layers.Conv2D(4, 1)(layers.AveragePooling2D(3, strides=1, padding="same")(x)))
    x = layers.Concatenate()([x, z, layers.MaxPooling2D(3, strides=1, padding="same")(x)])
    gate = layers.Reshape((1, 1, 20))(layers.GlobalAveragePooling2D()(x))
    gate = layers.Conv2D(20, 1, activation="sigmoid")(layers.Conv2D(5, 1, activation="swish")(gate))
    x = layers.Multiply()([x, gate])
    x = layers.Concatenate()([layers.GlobalMaxPooling2D()(x), layers.GlobalAveragePooling2D()(x)])
    return keras.Model(film, layers.Dense(5, activation="sigmoid")(x), name="functional")


def trunk(name: str = "trunk", side: int = 16) -> Model:
    film = layers.Input((side, side, 3))
    x = conv_norm_relu(layers.ZeroPadding2D(1)(film), 6, "conv1/stem", strides=2)
    x = layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(((1, 1), (1, 1)))(x))
    return keras.Model(film, conv_norm_relu(x, 10, "conv2/block"), name=name)


def nested() -> Model:
    film = layers.Input((16, 16, 3))
    x = layers.GlobalAveragePooling2D()(trunk()(film))
    x = layers.Dropout(0.5)(layers.Dense(12, activation="relu")(x))
    return keras.Model(film, layers.Dense(14, activation="sigmoid")(x), name="nested")


def frozen() -> Model:
    """A frozen trunk whose last two layers train, as transfer learning leaves it, two models deep."""
    base = trunk()
    for layer in base.layers[:-2]:
        layer.trainable = False
    film = layers.Input((16, 16, 3))
    middle = keras.Model(film, layers.Conv2D(8, 1)(base(film)), name="middle")
    head = [layers.GlobalAveragePooling2D(), layers.BatchNormalization(), layers.Dense(6, activation="relu")]
    return keras.Sequential([middle, *head, layers.Dense(3, activation="softmax")], name="frozen")


def shared() -> Model:
    """A layer and a nested Sequential that are each called twice."""
    film = layers.Input((8, 8, 3))
    conv = layers.Conv2D(3, 3, padding="same", activation="elu")
    blocks = [layers.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.BatchNormalization()]
    branch = keras.Sequential(blocks, name="branch")
    x = conv(film)
    x = layers.Concatenate()([branch(conv(x)), branch(x)])
    return keras.Model(film, layers.Dense(2, activation="sigmoid")(layers.Flatten()(x)), name="shared")


def mobile() -> Model:
    film = layers.Input((17, 17, 3))
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(film)
    x = layers.ReLU(6.0)(norm(layers.Conv2D(8, 3, strides=2, use_bias=False)(x), epsilon=1e-3))
    y = layers.ReLU(6.0)(norm(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)))
    x = layers.Add()([x, norm(layers.Conv2D(8, 1, use_bias=False)(y))])
    x = layers.SeparableConv2D(10, 3, padding="same", depth_multiplier=2, activation="relu6" if MAJOR > 2 else "relu")(
        x
    )
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, dilation_rate=2)(x)
    x = layers.Conv2D(8, 3, padding="same", groups=4, activation="linear")(x)
    x = layers.Conv2D(6, 2, padding="same", dilation_rate=2)(x)
    return keras.Model(film, layers.Dense(3, activation="softmax")(layers.GlobalAveragePooling2D()(x)), name="mobile")


def activations() -> Model:
    film = layers.Input((6, 6, 2))
    names = ["relu", "elu", "selu", "softplus", "softsign", "tanh", "sigmoid", "exponential", "hard_sigmoid", "swish"]
    names += ["gelu", "linear", "mish", "softmax"]
    names += ["relu6", "silu", "leaky_relu", "hard_silu"] if MAJOR > 2 else []
    made = [layers.Activation(name)(film) for name in names]
    slope = {"negative_slope": 0.2} if MAJOR > 2 else {"alpha": 0.2}
    made += [
        layers.LeakyReLU(**slope)(film),
        layers.ELU(alpha=0.7)(film),
        layers.PReLU(shared_axes=[1, 2])(film),
        layers.PReLU()(film),
        layers.ReLU(max_value=1.5, negative_slope=0.1)(film),
        layers.ReLU(negative_slope=0.1)(film),
        layers.Softmax()(film),
        layers.Softmax(axis=1)(film),
        layers.Conv2D(2, 1, activation=layers.LeakyReLU(**slope))(film),
        layers.Dense(3, activation="tanh")(film),
    ]
    x = layers.Reshape((36, -1))(layers.Concatenate()(made))
    x = layers.Dense(5, activation="hard_sigmoid")(norm(x))
    x = layers.Reshape((6, 6, 5))(x)
    return keras.Model(film, layers.Concatenate(axis=1)([x, x]), name="activations")


def scaled() -> Model:
    film = layers.Input((12, 12, 3))
    x = layers.RandomFlip("horizontal")(film)
    x = layers.Rescaling([1 / 255, 1 / 127, 1 / 250], offset=[0.0, -1.0, 0.2])(x)
    adapted = layers.Normalization()
    adapted.adapt(np.random.default_rng(5).normal(0.5, 0.4, (40, 12, 12, 3)).astype("float32"))
    x = adapted(x)
    x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 0.5])(x)
    x = layers.Conv2D(6, 3, activation="relu")(layers.SpatialDropout2D(0.2)(x))
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    return keras.Model(film, layers.Dense(1, activation="sigmoid")(layers.Flatten()(x)), name="scaled")


def open_sized() -> Model:
    """Any number of rows and columns, one channel, and no activation at the end."""
    film = layers.Input((None, None, 1))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")(film)
    x = layers.Conv2D(4, 3, strides=3, padding="same", activation="relu")(x)
    return keras.Model(film, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)), name="open_sized")


NETWORKS: tuple[Callable[[], Model], ...] = (
    *(sequential, functional, nested, frozen, shared, mobile, activations, scaled, open_sized),
)


def main() -> None:
    folder = Path(__file__).parent
    for seed, build in enumerate(NETWORKS):
        keras.backend.clear_session()
        model = build()
        randomise(model, seed)
        shape = [side or 13 for side in model.input_shape[1:]]
        films = np.random.default_rng(seed).normal(0, 1, (2, *shape)).astype("float32")
        if build is scaled:
            films = (films * 60 + 128).astype("float32")
        path = folder / f"keras{MAJOR}-{build.__name__}"
        model.save(path.with_suffix(".h5"))
        np.savez_compressed(path.with_suffix(".npz"), films=films, answer=model.predict(films, verbose=0))
        print(path.name, model.count_params(), path.with_suffix(".h5").stat().st_size)  # noqa: T201


if __name__ == "__main__":
    main()
